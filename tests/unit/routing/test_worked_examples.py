"""The worked examples that the guide shows are what the decisions do."""

from pathlib import Path

from worked_examples import PATHS, chapters

GUIDE = (Path(__file__).parents[3] / "docs" / "agreement.md").read_text(encoding="utf-8")


def test_the_guide_shows_each_path_as_it_is_decided() -> None:
    missing = [chapter for chapter in chapters() if chapter not in GUIDE]

    assert missing == []


def test_no_path_ends_in_two_pairs_of_hands() -> None:
    for title, walked in PATHS:
        in_hand = [concern for referral in walked().case.open_referrals for concern in referral.concerns]
        assert len(in_hand) == len(set(in_hand)), title
