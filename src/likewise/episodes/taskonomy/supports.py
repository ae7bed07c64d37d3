"""Which labelled images the published ten-shot runs see: first places of the permutations that come with their code."""

from __future__ import annotations

from likewise.episodes.taskonomy.tasks import SEGMENTATION
from likewise.errors import UsageError

SHOT = 10
# into the sorted images of the 25 training buildings; the last nine are seen by official fine-tuning alone
CONTINUOUS = (
    *(41706, 19754, 221547, 67922, 114944, 214160, 218452, 178197, 163845, 72689),
    *(270044, 260354, 93821, 242024, 85292, 120019, 59335, 225788, 14402),
)
# into the sorted images of all 35 buildings
SEGMENTED = {
    2: (316391, 369790, 238931, 70624, 4420, 99864, 24018, 371269, 108113, 18654),
    3: (19193, 74304, 274821, 140439, 381348, 278159, 379776, 78389, 141117, 257),
    4: (134872, 252639, 283319, 275386, 75415, 80328, 16322, 294008, 65667, 236553),
    5: (347027, 76093, 310089, 374958, 338666, 215072, 138153, 296754, 63457, 262487),
    6: (132194, 268519, 106733, 262507, 127042, 346730, 179153, 40562, 280536, 374569),
    8: (134213, 13610, 14165, 232859, 253331, 13540, 296465, 71970, 15770, 73562),
    9: (246842, 173195, 288749, 213598, 132417, 367721, 15719, 237467, 13836, 132231),
    10: (376842, 9165, 375902, 249984, 377851, 372508, 285461, 61756, 62379, 343643),
    12: (84011, 314523, 75382, 321674, 16383, 292655, 77409, 174381, 88831, 282156),
    13: (11943, 76064, 277289, 70713, 372105, 75021, 22631, 131100, 257395, 122284),
    15: (254243, 346138, 20936, 45446, 238532, 343362, 306114, 296523, 208648, 283942),
    16: (208449, 113848, 124194, 23961, 44531, 180158, 180641, 273053, 185390, 189121),
}
TRAINING_IMAGES = 274_880  # of the 25 training buildings, by the length of the permutation


def support_places(number: int | None = None) -> tuple[int, ...]:
    """Places of the ten support images in the sorted list of images: of a class of the segmentation, or of all other tasks.

    Raises UsageError for a class that is not one of the twelve.
    """
    if number is None:
        return CONTINUOUS[:SHOT]
    if number not in SEGMENTED:
        raise UsageError(f"class {number} is not used", where="taskonomy", remedy=f"Use one of {', '.join(map(str, SEGMENTATION))}")
    return SEGMENTED[number]
