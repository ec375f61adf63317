"""The places of everything that a scan leaves, checked before it begins."""

from pathlib import Path

from malscan.atomic import check_folder, check_place
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
    check_folder(settings.montage)
    return [*files, settings.montage]
