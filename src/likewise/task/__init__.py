"""Tasks: what was learned from a support, ready for any number of images.

task = learn("examples/")
prediction = task.predict("new.jpg")
task.save("cracks.task"); load("cracks.task")
"""

from likewise.task.face import Task
from likewise.task.learning import format_otherwise, usual_method
from likewise.task.opening import learn, load

__all__ = ["Task", "format_otherwise", "learn", "load", "usual_method"]
