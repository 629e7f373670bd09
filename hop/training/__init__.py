"""Training: how the stages of an experiment become checkpoints.

`loop` walks the path, and is the way in: `train`. `program` holds the compiled step and the arrays
that it carries, `feeds` the input functions of each step, `records` what is known of a run under
way and when a stage ends, `fronts` where the interface of a stage belongs.
"""

from hop.training.feeds import check_batch, feed, provide
from hop.training.loop import train
from hop.training.program import Program, Window
from hop.training.records import Bookmark, Record, Reporter

__all__ = ["Bookmark", "Program", "Record", "Reporter", "Window", "check_batch", "feed",
           "provide", "train"]  # fmt: skip
