"""kill -9, and another in the run or the repeat that was to mend the first."""

from dataclasses import dataclass, field

from tests.lifecycle.deaths import NEVER, SCENES, run_and_die, steps_of
from tests.lifecycle.world import World

LONG_AFTER = (3600, 600, 600)
"""Seconds in which an order's time ends, its grace, and whatever waits for another try."""


@dataclass
class Pairs:
    """Deaths by twos in one world. Where the second can come is known only by a run that mends the first to its end."""

    world: World
    mending: dict[tuple[str, int], int] = field(default_factory=dict)
    """The steps of the run after a death of this scene at that step."""

    def steps_of(self, name):
        """How many steps the act has, and what it comes to where nobody dies."""
        self.finish_the_others()
        return steps_of(self.world, SCENES[name])

    def mending_steps(self, name, first):
        """A death in each of them is within the run that mends the first."""
        if (name, first) not in self.mending:
            died, steps, scene = self.die(name, first, NEVER)
            assert died == 1, f"{name} has no step {first}"
            scene.again()
            self.mending[name, first] = steps
        return self.mending[name, first]

    def die(self, name, first, second):
        """Dead at one step, and the one who goes on dead at another: how many have died, the steps of one who went on
        to the end, and the scene."""
        self.finish_the_others()
        scene = SCENES[name](self.world)
        died, _ = run_and_die(self.world, scene.act, first)
        self.world.wait(scene.wait)
        again, steps = run_and_die(self.world, scene.act, second)
        return died + again, steps, scene

    def finish_the_others(self):
        """What earlier scenes have left would be done in this one's runs too, and a death in it says nothing here."""
        for pause in LONG_AFTER:
            self.world.wait(pause)
            self.world.jobs()
