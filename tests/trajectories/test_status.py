"""Status: a closed list of ends, each with a code and a sentence."""

import pytest

from factorflow import Status

ANSWERS = {Status.TRAIN_ERROR, Status.STATIONARY, Status.TIME, Status.HELD_OUT, Status.CERTIFIED}
FAILURES = {Status.DIVERGED, Status.STALLED}


@pytest.mark.parametrize("status", Status)
def test_a_status_knows_itself(status):
    assert Status.of(status.code) is status
    assert status.successful == (status in ANSWERS)
    assert status.failed == (status in FAILURES)
    assert status.sentence.endswith(".")
    assert status.name in repr(status)
    assert status.sentence in repr(status)


def test_codes_and_sentences_are_unique():
    assert len({status.code for status in Status}) == len(Status)
    assert len({status.sentence for status in Status}) == len(Status)
