"""Progress: one line where there is no terminal."""

from factorflow.cli._progress import FitProgress, _told

SEEN = {"step": 8, "time": 1.5, "n_gradients": 40, "train_error": 0.25, "n_running": 1}


def test_without_a_terminal_there_is_one_line(capsys):
    with FitProgress() as progress:
        progress.begin("Fitting 9 entries")
        progress(SEEN)
    shown = capsys.readouterr()
    assert shown.err == "Fitting 9 entries ...\n"
    assert shown.out == ""


def test_in_a_terminal_it_moves(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with FitProgress() as progress:
        progress.begin("Fitting 9 entries")
        progress(SEEN | {"held_out_error": 0.5, "effective_rank": 2.345})
        progress(SEEN | {"step": 9})
    shown = capsys.readouterr().err
    assert "Fitting 9 entries ..." in shown
    assert "step 9, train 0.25, held-out 0.5, effective rank 2.3" in shown


def test_what_is_told():
    assert _told(SEEN | {"step": 0}) == "compiling"
    assert _told(SEEN) == "step 8, train 0.25"


def test_what_the_convex_methods_tell():
    seen = {"step": 3, "weight": 10.6, "rank": 7, "gap": 2.5e-3, "train_error": 0.5}
    assert _told(seen) == "step 3, weight 10.6, train 0.5, rank 7, gap 2.5e-03"
    seen = {"step": 10, "gap": 1e-6, "nuclear_norm": 12.0, "rank": 2}
    assert _told(seen) == "step 10, nuclear norm 12, rank 2, gap 1.0e-06"
