"""Which of the predicted cells count: readable, and of patients whom the model has not seen."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from malscan.errors import MalscanError
from malscan.evaluation.result import Independence
from malscan.labels import PARASITIZED
from malscan.prediction import Prediction
from malscan.seen import Copies, SeenImages, find_copies

_PATIENTS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Selection:
    """Predictions by what becomes of them.

    Attributes:
        evaluated: those that count.
        set_aside: those of patients whom the model has seen.
        failed: those of images that could not be read.
        seen_patients: patients with an image that the model has seen; where the patient is not
            known, the path of the image stands for them.
        independence: whether those that count are new to the model.
        copies: images with the same pixels, as places among the readable ones.
        readable: all that could be read, in their order.
    """

    evaluated: list[Prediction]
    set_aside: list[Prediction]
    failed: list[Prediction]
    seen_patients: list[str]
    independence: Independence
    copies: Copies
    readable: list[Prediction]


def select(
    predictions: Sequence[Prediction], seen: Sequence[SeenImages | None], *, allow_seen: bool
) -> Selection:
    """Set aside every patient of whom a model has seen an image, by the hash of its pixels.

    Args:
        predictions: of labelled cells, with pixel hashes.
        seen: what each model has seen; None for one that does not say.
        allow_seen: keep them all, and say that they are not independent.

    Raises:
        MalscanError: nothing is left.
    """
    readable = [prediction for prediction in predictions if prediction.error is None]
    failed = [prediction for prediction in predictions if prediction.error is not None]
    known = {int(digest) for images in seen if images is not None for digest in images.hashes}
    unseen, aside, patients = _without_seen(readable, known)
    independence = Independence.CHECKED
    if any(images is None for images in seen):
        independence = Independence.UNKNOWN
    if allow_seen and aside:
        independence, unseen, aside = Independence.SEEN, readable, []
    if not unseen:
        raise MalscanError(_nothing_left(readable, patients))
    hashes = [prediction.pixel_hash or 0 for prediction in readable]
    positive = [prediction.image.label == PARASITIZED for prediction in readable]
    copies = find_copies(hashes, positive, [0] * len(readable))
    return Selection(unseen, aside, failed, patients, independence, copies, readable)


def _without_seen(
    readable: Iterable[Prediction], known: set[int]
) -> tuple[list[Prediction], list[Prediction], list[str]]:
    everything = list(readable)
    patients = {_unit(one) for one in everything if one.pixel_hash in known}
    unseen = [one for one in everything if _unit(one) not in patients]
    aside = [one for one in everything if _unit(one) in patients]
    return unseen, aside, sorted(patients, key=lambda name: (len(name), name))


def _unit(prediction: Prediction) -> str:
    """Patient; without one the image is alone."""
    return prediction.image.patient or prediction.image.path


def _nothing_left(readable: Sequence[Prediction], patients: Sequence[str]) -> str:
    if not readable:
        return "no image could be read, so there is nothing to evaluate"
    shown = ", ".join(patients[:_PATIENTS_SHOWN])
    more = (
        "" if len(patients) <= _PATIENTS_SHOWN else f" and {len(patients) - _PATIENTS_SHOWN} more"
    )
    return (
        f"the model has seen images of every patient here ({shown}{more}): nothing is left that "
        "it could be judged by. Give cells of other patients; --allow-seen evaluates all the same "
        "and marks every figure as not independent."
    )
