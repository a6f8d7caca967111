"""One BLAS thread in whichever thread asks for it."""

from threading import Event, Thread

from factorflow._blas import _libraries, one_blas_thread


def _numbers() -> list[int]:
    return [library.num_threads for library in _libraries()]


def test_a_thread_is_heeded_after_another_one_and_all_is_as_before_in_the_end():
    before, seen = _numbers(), []
    with one_blas_thread():
        seen.append(_numbers())

    def in_a_thread():
        with one_blas_thread():
            seen.append(_numbers())

    thread = Thread(target=in_a_thread)
    thread.start()
    thread.join()
    assert seen == [[1] * len(before)] * 2
    assert _numbers() == before


def test_the_last_of_two_lifts_the_limit():
    before, entered, leave = _numbers(), Event(), Event()

    def in_a_thread():
        with one_blas_thread():
            entered.set()
            leave.wait(10)

    thread = Thread(target=in_a_thread)
    with one_blas_thread():
        thread.start()
        entered.wait(10)
    assert _numbers() == [1] * len(before)
    leave.set()
    thread.join()
    assert _numbers() == before
