"""Whose cell it is: by names, tables, patterns and folders; and lists of patients."""

import re
from pathlib import Path

import pytest
from conftest import SHARED

from malscan.errors import MalscanError, UsageError
from malscan.patients import patient_rule, patients_of, read_patient_list, with_known_patient
from malscan.settings import DataSettings
from malscan.walk import CellImage


class TestNames:
    @pytest.mark.parametrize(
        ("path", "patient"),
        [
            ("Parasitized/C33P1thinF_IMG_20150619_114756a_cell_179.png", "C33"),
            ("Uninfected/C241NThinF_IMG_20151207_124115_cell_93.png", "C241"),
            ("C47P8thin_Original_Motic_IMG_20150714_101240_cell_9.png", "C47"),
            ("C12/cell.png", None),
            ("Uninfected/cell_1.png", None),
        ],
    )
    def test_a_name_of_the_archive_tells_the_patient(
        self, path: str, patient: str | None, tmp_path: Path
    ) -> None:
        assert patient_rule(DataSettings(tmp_path))(path) == patient


class TestMaps:
    OFFICIAL = "C9P1ThinF,['C9P1ThinF_IMG_1.png', 'x 2.png'],,,\nC9ThinF,['c.png'],,\n"

    def test_an_official_mapping_gives_the_c_number_of_the_slide(self, tmp_path: Path) -> None:
        rule = patient_rule(self.settings(tmp_path, self.OFFICIAL))
        assert [rule(f"any/{name}") for name in ("C9P1ThinF_IMG_1.png", "x 2.png", "c.png")] == [
            "C9"
        ] * 3
        assert rule("Uninfected/C12_IMG_1.png") is None

    def test_a_table_of_paths_and_patients_is_read_by_file_name(self, tmp_path: Path) -> None:
        table = 'patient,site,path\nanna,x,a/1.png\n"b,c",x,2.png\n,x,3.png\n'
        rule = patient_rule(self.settings(tmp_path, table))
        assert [rule(f"Parasitized/{i}.png") for i in (1, 2, 3)] == ["anna", "b,c", None]

    @pytest.mark.parametrize("header", ['"path","patient"', "Path, Patient"])
    def test_the_header_may_be_quoted_or_in_capitals(self, header: str, tmp_path: Path) -> None:
        rule = patient_rule(self.settings(tmp_path, f"{header}\n1.png,7\n"))
        assert rule("1.png") == "7"

    def test_several_maps_count_together(self, tmp_path: Path) -> None:
        rule = patient_rule(self.settings(tmp_path, self.OFFICIAL, "path,patient\n1.png,7\n"))
        assert (rule("c.png"), rule("1.png")) == ("C9", "7")

    def test_maps_that_contradict_each_other_are_an_error(self, tmp_path: Path) -> None:
        settings = self.settings(tmp_path, self.OFFICIAL, "path,patient\nc.png,C8\n")
        with pytest.raises(
            MalscanError, match=r"map1\.csv: c\.png is of patient C8 here and of C9"
        ):
            patient_rule(settings)

    @pytest.mark.parametrize("content", ["", "path,patient\n", "path,patient\n1.png,\n"])
    def test_a_map_that_names_nobody_is_an_error(self, content: str, tmp_path: Path) -> None:
        with pytest.raises(MalscanError, match=r"map0\.csv names no patient"):
            patient_rule(self.settings(tmp_path, content))

    def test_a_map_of_another_kind_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(MalscanError, match=r"map0\.csv: .*columns path and patient"):
            patient_rule(self.settings(tmp_path, "file,person\n1.png,7\n"))

    def test_a_short_row_names_nobody(self, tmp_path: Path) -> None:
        rule = patient_rule(self.settings(tmp_path, "patient,path\nC1\nC2,2.png\n"))
        assert rule("2.png") == "C2"

    def test_a_map_that_is_no_text_is_an_error(self, tmp_path: Path) -> None:
        path = tmp_path / "map.csv"
        path.write_bytes(b"path,patient\n\xff,1")
        with pytest.raises(MalscanError, match=r"cannot read the patient map .*map\.csv"):
            patient_rule(DataSettings(tmp_path, patient_maps=(path,)))

    @pytest.mark.real_data
    def test_the_official_maps_know_27558_images_of_200_patients(self) -> None:
        maps = tuple(sorted(SHARED.glob("patientid_cellmapping_*.csv")))
        if not maps:
            pytest.skip("the official mapping is not here: ../shared/data is missing")
        rule = patient_rule(DataSettings(SHARED, patient_maps=maps))
        by_name = patient_rule(DataSettings(SHARED))
        names = [name for path in maps for name in re.findall(r"'([^']+)'", path.read_text())]
        patients = [rule(name) for name in names]
        assert len(names) == 27_558
        assert len(set(patients)) == 200
        assert patients == [by_name(name) for name in names]

    def settings(self, tmp_path: Path, *maps: str) -> DataSettings:
        files = [tmp_path / f"map{number}.csv" for number in range(len(maps))]
        for file, content in zip(files, maps, strict=True):
            file.write_text(content, encoding="utf-8")
        return DataSettings(tmp_path, patient_maps=tuple(files))


class TestPatterns:
    @pytest.mark.parametrize(
        ("pattern", "patient"),
        [
            (r"pat-\d+", "pat-07"),
            (r"pat-(\d+)", "07"),
            (r"/(\w+)-", "pat"),
            (r"nobody", None),
            (r"x*", None),
            (r"(?:pat|(other))-", None),
        ],
    )
    def test_the_first_group_or_the_whole_match_is_the_patient(
        self, pattern: str, patient: str | None, tmp_path: Path
    ) -> None:
        rule = patient_rule(DataSettings(tmp_path, patient_pattern=pattern))
        assert rule("Uninfected/pat-07/cell_1.png") == patient

    def test_what_is_no_pattern_is_wrong_usage(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=r"--patient-pattern 'C\(' is no regular expression"):
            DataSettings(tmp_path, patient_pattern="C(")


class TestFolders:
    @pytest.mark.parametrize(
        ("path", "patient"),
        [
            ("Parasitized/anna/cell_1.png", "anna"),
            ("anna/Parasitized/cell_1.png", "anna"),
            ("anna/slide 2/healthy/cell_1.png", "anna"),
            ("POSITIVE/anna/slide 2/cell_1.png", "anna"),
            ("Uninfected/cell_1.png", None),
        ],
    )
    def test_the_outermost_folder_that_is_no_class_folder_is_the_patient(
        self, path: str, patient: str | None, tmp_path: Path
    ) -> None:
        assert patient_rule(DataSettings(tmp_path, patient_folders=True))(path) == patient

    def test_a_class_folder_named_with_positive_is_no_patient(self, tmp_path: Path) -> None:
        settings = DataSettings(tmp_path, positive="sick", patient_folders=True)
        assert patient_rule(settings)("sick/anna/cell_1.png") == "anna"
        assert patient_rule(settings)("well/bela/cell_1.png") == "bela"


@pytest.mark.parametrize("second", ["patient_pattern", "patient_folders"])
def test_two_ways_to_find_patients_exclude_each_other(second: str, tmp_path: Path) -> None:
    table = tmp_path / "map.csv"
    table.touch()
    with pytest.raises(UsageError, match=r"--patient-map and --patient-.* exclude each other"):
        if second == "patient_pattern":
            DataSettings(tmp_path, patient_maps=(table,), patient_pattern="C")
        else:
            DataSettings(tmp_path, patient_maps=(table,), patient_folders=True)


class TestKnownPatients:
    KNOWN = CellImage("C1_IMG_1.png", "s", None, "uninfected", "C1")

    def test_cells_of_known_patients_pass_unchanged(self) -> None:
        assert with_known_patient(iter([self.KNOWN])) == [self.KNOWN]

    def test_a_cell_of_an_unknown_patient_is_an_error_that_names_it_and_a_way_out(self) -> None:
        unknown = CellImage("Uninfected/cell.png", "s", None, "uninfected", None)
        with pytest.raises(
            MalscanError, match=r"no patient known for Uninfected/cell\.png.*--split cell"
        ):
            with_known_patient([self.KNOWN, unknown])


class TestPatientList:
    def test_comments_and_empty_lines_do_not_count(self, tmp_path: Path) -> None:
        path = tmp_path / "patients.txt"
        path.write_text("# the test patients\nC1\n\n  C12  \nC3 # two microscopes\n#C4\r\nC1\n")
        assert read_patient_list(path) == {"C1", "C12", "C3"}

    @pytest.mark.parametrize("content", ["", "\n \n", "# nobody\n"])
    def test_a_list_that_names_nobody_is_an_error(self, content: str, tmp_path: Path) -> None:
        path = tmp_path / "patients.txt"
        path.write_text(content)
        with pytest.raises(MalscanError, match=r"patients\.txt names no patient"):
            read_patient_list(path)

    def test_a_missing_list_is_an_error_that_names_it(self, tmp_path: Path) -> None:
        with pytest.raises(MalscanError, match=r"cannot read the patient list .*nobody\.txt"):
            read_patient_list(tmp_path / "nobody.txt")

    def test_a_list_that_is_no_text_is_an_error_that_names_it(self, tmp_path: Path) -> None:
        path = tmp_path / "patients.txt"
        path.write_bytes(b"\xff\xfe\x00C1")
        with pytest.raises(MalscanError, match=r"cannot read the patient list .*patients\.txt"):
            read_patient_list(path)


def test_patients_are_listed_once_and_sorted_by_number() -> None:
    names = ["C10", "C9", "C100", None, "C9", "C1"]
    cells = [CellImage(f"{i}.png", "s", patient=name) for i, name in enumerate(names)]
    assert patients_of(cells) == ["C1", "C9", "C10", "C100"]
