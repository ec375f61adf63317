"""What is known of the NIH/NLM archive, and what is asked of any other one."""

from dataclasses import dataclass, replace

from malscan.labels import PARASITIZED, UNINFECTED

CITATION = "Rajaraman et al. 2018, PeerJ 6:e4568, https://doi.org/10.7717/peerj.4568"


@dataclass(frozen=True, slots=True)
class MappingFile:
    """A CSV beside the archive that tells the slide of every image of one class.

    Attributes:
        label: the class.
        name: file name.
        sha256: of the whole file; None where it is not known.
    """

    label: str
    name: str
    sha256: str | None


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive of cell images.

    Attributes:
        urls: addresses, the best first; the mapping files lie beside each.
        sha256: of the whole file; None accepts any.
        size: in bytes; None where it is not known.
        images_per_class: how many there must be; None where it is not known.
        patients: how many there must be; None where it is not known.
        mappings: the files that tell the slides.
    """

    urls: tuple[str, ...]
    sha256: str | None
    size: int | None
    images_per_class: int | None
    patients: int | None
    mappings: tuple[MappingFile, ...]

    def another(self, sha256: str | None) -> "Archive":
        """An archive of which nothing is known but its hash, or not even that."""
        mappings = tuple(replace(mapping, sha256=None) for mapping in self.mappings)
        return Archive(self.urls, sha256, None, None, None, mappings)


PUBLISHED = Archive(
    urls=(
        "https://data.lhncbc.nlm.nih.gov/public/Malaria/cell_images.zip",
        "https://ceb.nlm.nih.gov/proj/malaria/cell_images.zip",
    ),
    sha256="0a949556b2414159b5100192609805376654c4266d8d187be9b1922fad43c668",
    size=353_452_851,
    images_per_class=13_779,
    patients=200,
    mappings=(
        MappingFile(
            PARASITIZED,
            "patientid_cellmapping_parasitized.csv",
            "d0367e513397404e980baee2a641bce9ce329a22e62ea9007962dfca2f8418d3",
        ),
        MappingFile(
            UNINFECTED,
            "patientid_cellmapping_uninfected.csv",
            "a8577b21e7154724f4bbd18326218e2c63a99b22ab372b79a7530d36df6dab78",
        ),
    ),
)
