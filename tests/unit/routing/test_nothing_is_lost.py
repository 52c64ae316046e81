"""Whatever happens to a case, each of its concerns is in one pair of hands, and partners learn their own only."""

from hypothesis import settings
from lifecycle.agreements import NOW
from lifecycle.machine import Life
from lifecycle.worlds import InMemory, World


class LifeInMemory(Life):
    """The decisions alone, without a store."""

    def a_world(self) -> World:
        return InMemory(NOW)


TestLifeInMemory = LifeInMemory.TestCase
TestLifeInMemory.settings = settings(max_examples=100, stateful_step_count=30)
