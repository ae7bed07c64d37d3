"""The ten tasks of Taskonomy that VTM uses: channels, folders, folds, buildings. Constants are those of the code of Kim et al. 2023."""

from __future__ import annotations

from dataclasses import dataclass

from likewise.functional.texture import TEXTURE_EDGES

SEGMENTATION = (2, 3, 4, 5, 6, 8, 9, 10, 12, 13, 15, 16)
CLASSES = (
    "bottle", "chair", "couch", "plant", "bed", "dining table", "toilet", "tv", "microwave", "oven", "toaster", "sink", "fridge", "book", "clock", "vase",
)  # fmt: skip
DEPTH_BOUNDS = {"depth_euclidean": (0.42, 0.62, 0.64, 0.68, 0.70, 1.0), "depth_zbuffer": (0.40, 0.60, 0.64, 0.66, 0.70, 1.0)}
OCCLUSION_EDGES = (0.0005, 0.001, 0.002, 0.003, 0.01)
KEYPOINTS2D_CLIP = 0.005
HOLE = 64500  # euclidean depths from here on are holes of the scan
THRESHOLD = 0.2  # from which probability a pixel belongs to a class


@dataclass(frozen=True)
class Task:
    """One task: its channels, the first of their global indices, and the folder of its labels ("" for none) with what file names call it."""

    name: str
    channels: int
    first: int
    folder: str
    label: str

    @property
    def rows(self) -> range:
        """The global indices of its channels, which are the rows of bias sets in published checkpoints."""
        return range(self.first, self.first + self.channels)

    @property
    def categorical(self) -> bool:
        """Whether its channels are classes."""
        return self.name == "segment_semantic"

    def channel_names(self) -> list[str]:
        """The names of the channels: `<task>_<c>`, for classes by their numbers."""
        return [f"{self.name}_{number}" for number in (SEGMENTATION if self.categorical else range(self.channels))]


def _tasks() -> dict[str, Task]:
    found: dict[str, Task] = {}
    sizes = {
        "segment_semantic": len(SEGMENTATION),
        "depth_euclidean": 5,
        "depth_zbuffer": 1,
        "edge_texture": len(TEXTURE_EDGES),
        "edge_occlusion": len(OCCLUSION_EDGES),
        "keypoints2d": 1,
        "keypoints3d": 1,
        "normal": 3,
        "reshading": 1,
        "principal_curvature": 2,
    }
    first = 0
    for name, channels in sizes.items():
        folder = "" if name == "edge_texture" else name
        found[name] = Task(name, channels, first, folder, "segmentsemantic" if name == "segment_semantic" else folder)
        first += channels
    return found


TASKS = _tasks()
CHANNELS = sum(task.channels for task in TASKS.values())
FOLDS = (  # the tasks that are held out
    ("reshading", "principal_curvature"),
    ("keypoints2d", "keypoints3d"),
    ("edge_texture", "edge_occlusion"),
    ("depth_euclidean", "depth_zbuffer"),
    ("segment_semantic", "normal"),
)
BUILDINGS = {
    "train": [
        "allensville",
        "beechwood",
        "benevolence",
        "coffeen",
        "cosmos",
        "forkland",
        "hanson",
        "hiteman",
        "klickitat",
        "lakeville",
        "leonardo",
        "lindenwood",
        "marstons",
        "merom",
        "mifflinburg",
        "newfields",
        "onaga",
        "pinesdale",
        "pomaria",
        "ranchester",
        "shelbyville",
        "stockman",
        "tolstoy",
        "wainscott",
        "woodbine",
    ],
    "val": ["collierville", "corozal", "darden", "markleeville", "wiconisco"],
    "test": ["ihlen", "mcdade", "muleshoe", "noxapater", "uvalda"],
}
OFFICIAL_TEST = ("muleshoe",)  # the test configuration evaluates on this building alone


def training_tasks(fold: int) -> list[Task]:
    """The eight tasks that a fold trains on."""
    return [task for name, task in TASKS.items() if name not in FOLDS[fold]]


def held_out_rows(fold: int) -> list[int]:
    """The global indices of the channels of the held-out tasks of a fold: rows that training leaves as they were.

    >>> held_out_rows(0)
    [31, 32, 33]
    """
    return [row for name, task in TASKS.items() if name in FOLDS[fold] for row in task.rows]
