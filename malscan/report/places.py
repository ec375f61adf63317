"""The places of everything that a scan leaves, checked before it begins."""

import os
from pathlib import Path

from malscan.atomic import check_place
from malscan.errors import MalscanError
from malscan.report.montage import check_target
from malscan.report.names import files_of_reports
from malscan.settings import ScanSettings


def check_places(settings: ScanSettings) -> list[Path]:
    """Everything that a scan will leave, after making sure that it may stand there.

    Raises:
        MalscanError: a folder is not there, or something else is in the way.
    """
    files = files_of_reports(settings.outs)
    files += [settings.failed_to] if settings.failed_to is not None else []
    for file in files:
        check_place(file)
    if settings.montage is None:
        return files
    check_target(settings.montage)
    if not Path(os.path.realpath(settings.montage)).parent.is_dir():
        raise MalscanError(
            f"cannot write {settings.montage}: no such folder. Make it, or check it."
        )
    return [*files, settings.montage]
