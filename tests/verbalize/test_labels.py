import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lskd.errors import UserError
from lskd.verbalize.labels import SOURCES, Label, builtin, distinct, download, read

PLACES = "categories_places365.txt"
TENCENT = "dictionary_and_semantic_hierarchy.txt"
OPEN_IMAGES = "oidv6-class-descriptions.csv"


def written(folder: Path, text: str) -> Path:
    path = folder / "labels.txt"
    path.write_bytes(text.encode())
    return path


def test_places_lose_their_prefix_and_keep_their_inner_part(tmp_path: Path) -> None:
    path = written(tmp_path, "/a/airfield 0\n/a/apartment_building/outdoor 1")
    assert read(path) == (
        Label("/a/airfield", "airfield"),
        Label("/a/apartment_building/outdoor", "apartment building, outdoor"),
    )


def test_the_first_of_tencents_names_is_the_text_and_the_rest_are_synonyms(tmp_path: Path) -> None:
    text = (
        "category_index\tcategory_id\tindex_of_parent_category\tcategory name\n"
        "0\tn00002684\t-1\tobject, physical object\n"
        "1\tn02012849\t0\tcrane\n"
        "2\tn03126707\t0\tcrane\n"
    )
    assert read(written(tmp_path, text)) == (
        Label("0", "object", ("physical object",)),
        Label("1", "crane"),
        Label("2", "crane"),
    )


def test_tencents_older_release_without_indices_is_keyed_by_line(tmp_path: Path) -> None:
    text = "n00002452\t-1\tthing\nn05538625\t0\thead, caput\n"
    assert read(written(tmp_path, text)) == (Label("0", "thing"), Label("1", "head", ("caput",)))


@pytest.mark.parametrize("header", ["", "LabelName,DisplayName\n"])
def test_open_images_is_read_with_or_without_a_header(tmp_path: Path, header: str) -> None:
    text = header + '/m/02wvth,"Fiat 500 ""topolino"""\r\n/m/01c_0l,"Ducks, geese and swans"\r\n'
    assert read(written(tmp_path, text)) == (
        Label("/m/02wvth", 'Fiat 500 "topolino"'),
        Label("/m/01c_0l", "Ducks, geese and swans"),
    )


def test_a_plain_list_has_one_label_a_line(tmp_path: Path) -> None:
    path = written(tmp_path, "\ufeffred_panda\n\n  tea, with milk \n")
    assert read(path) == (
        Label("1", "red panda"),
        Label("3", "tea, with milk"),
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is empty"),
        ("\n \n", "is empty"),
        ("LabelName,DisplayName\n", "no label below it"),
        ("/a/airfield 2\n/a/airplane_cabin 1\n", "line 1: number 2 where 0 is due"),
        ("/a/airfield 0\n/a/airplane cabin 1\n", "line 2: '/a/airplane cabin 1' is not of"),
        ("/a/airfield\n/a/airplane_cabin\n", "line 1: '/a/airfield' is no plain label"),
        ("0\tn00002684\t-1\tobject\n1\tn00002684\tobject\n", "line 2: "),
        ("0\tn00002684\t-1\tobject\nn00002685\t-1\tmatter\n", "line 2: "),
        ("0\tn00002684\t-1\tobject\n0\tn00002685\t-1\tmatter\n", "line 2: '0' is there a second"),
        ("0\tn00002684\t-1\t, ,\n", "line 1: has no name"),
        ('/m/01,Cat\n/m/02,"Dog\n', "line 2: "),
        ("/m/01,Cat\n/m/02,Dog,Wolf\n", "line 2: "),
        ("/m/01,Cat\n/m/02\n", "line 2: "),
        ("/m/01,Cat\n/m/01,Dog\n", "line 2: '/m/01' is there a second time"),
        ("cat\ndog\tn01\n", "line 2: "),
    ],
)
def test_a_broken_file_is_told_with_its_line(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(UserError) as caught:
        read(written(tmp_path, text))
    assert told in str(caught.value)
    assert "labels.txt" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_text_that_is_not_utf8_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes(b"cat\ncaf\xe9\n")
    with pytest.raises(UserError, match=r"line 2: is not UTF-8"):
        read(path)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot read .*none.txt: No such file"):
        read(tmp_path / "none.txt")


@pytest.mark.parametrize(
    ("text", "line"),
    [("dog\n_\n", 2), ("/a/_ 0\n", 1), ("0\tn00001740\t-1\t_\n", 1)],
)
def test_a_name_of_underscores_alone_is_told(tmp_path: Path, text: str, line: int) -> None:
    path = tmp_path / "blank.txt"
    path.write_text(text)
    with pytest.raises(UserError, match=rf"line {line}: has a label without a letter"):
        read(path)


def test_underscores_around_a_name_are_no_part_of_it(tmp_path: Path) -> None:
    path = tmp_path / "plain.txt"
    path.write_text("_hot_dog_\n")
    assert [label.text for label in read(path)] == ["hot dog"]


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\n\r\t"), min_size=1)


@example(b"_")
@given(st.one_of(st.binary(max_size=200), st.lists(NAMES).map(lambda all: "\n".join(all).encode())))
def test_whatever_a_file_holds_it_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.txt"
    path.write_bytes(data)
    try:
        labels = read(path)
    except UserError:
        return
    assert labels
    assert all(label.key and label.text.strip() for label in labels)
    assert len({label.key for label in labels}) == len(labels)


@given(
    st.lists(st.text("abc_ ,'\"", min_size=1).map(str.strip).filter(bool), unique=True, min_size=1)
)
def test_every_name_of_open_images_comes_back_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    path = tmp_path_factory.getbasetemp() / "open_images.csv"
    quoted = (name.replace('"', '""') for name in names)
    path.write_text("".join(f'/m/{i:04},"{name}"\n' for i, name in enumerate(quoted)))
    assert [label.text for label in read(path)] == names


@pytest.mark.parametrize(("kind", "least"), [("places", 80), ("objects", 200), ("concepts", 120)])
def test_the_built_in_lists_are_long_enough_and_repeat_nothing(kind: str, least: int) -> None:
    labels = builtin(kind)  # type: ignore[arg-type]  # pytest's parameters are plain str
    assert len(labels) >= least
    assert distinct(labels) == labels


def test_of_equal_texts_the_first_label_counts() -> None:
    crane, machine, dog = Label("1", "crane"), Label("2", "Crane", ("hoist",)), Label("3", "dog")
    assert distinct([crane, machine, dog]) == (crane, dog)


def test_the_official_list_of_places_is_read_whole(shared: Path) -> None:
    labels = read(shared / "data" / "places365" / PLACES)
    assert len(labels) == 365
    assert labels[-1] == Label("/z/zen_garden", "zen garden")
    assert sum(", " in label.text for label in labels) == 75
    assert not any("_" in label.text or "/" in label.text for label in labels)


def test_the_list_of_indoor_and_outdoor_places_is_not_taken_for_it(shared: Path) -> None:
    with pytest.raises(UserError, match="line 1: number 2 where 0 is due"):
        read(shared / "data" / "places365" / "IO_places365.txt")


def test_the_official_list_of_tencent_is_read_whole(shared: Path) -> None:
    labels = read(shared / "data" / "tencent_ml_images" / TENCENT)
    assert [label.key for label in labels] == [str(index) for index in range(11_166)]
    assert sum(bool(label.synonyms) for label in labels) == 5_953
    names = [(label.text, *label.synonyms) for label in labels]
    assert len(names) - len(set(names)) == 293
    assert not any("," in name for label in names for name in label)


def test_the_official_list_of_open_images_is_read_whole(shared: Path) -> None:
    labels = read(shared / "data" / "openimages" / OPEN_IMAGES)
    assert len(labels) == 19_994
    assert len(labels) - len(distinct(labels)) == 12
    texts = {label.key: label.text for label in labels}
    assert texts["/m/02wvth"] == 'Fiat 500 "topolino"'
    assert texts["/m/01wdp"] == "Cucumber, gourd, and melon family"


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder without talking; counts what it served.

    Files named in `cut` end before their length, those in `broken` within a piece.
    """

    def do_GET(self) -> None:
        self.server.asked.append(self.path)  # type: ignore[attr-defined]  # set by `mirror`
        if self.path.lstrip("/") in self.server.cut:  # type: ignore[attr-defined]  # as above
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"/m/01,Cat\n")
            return
        if self.path.lstrip("/") in self.server.broken:  # type: ignore[attr-defined]  # as above
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"ff\r\n/m/01,Cat\n")
            return
        super().do_GET()

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[ThreadingHTTPServer]:
    (tmp_path / "served").mkdir()
    serve = partial(Quiet, directory=str(tmp_path / "served"))
    with ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        server.asked = []  # type: ignore[attr-defined]  # read by Quiet
        server.cut = set()  # type: ignore[attr-defined]  # read by Quiet
        server.broken = set()  # type: ignore[attr-defined]  # read by Quiet
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


def address(server: ThreadingHTTPServer) -> str:
    return f"http://127.0.0.1:{server.server_port}/"


def serve_official_files(shared: Path, tmp_path: Path) -> None:
    for folder, name in (("places365", PLACES), ("tencent_ml_images", TENCENT)):
        data = (shared / "data" / folder / name).read_bytes()
        (tmp_path / "served" / name).write_bytes(data)
    (tmp_path / "served" / OPEN_IMAGES).write_text("LabelName,DisplayName\n/m/01,Cat\n")


def test_the_three_lists_are_fetched_once_and_kept(
    shared: Path, tmp_path: Path, mirror: ThreadingHTTPServer
) -> None:
    serve_official_files(shared, tmp_path)
    folder = tmp_path / "kept"
    paths = download(folder, address(mirror))
    assert [len(read(path)) for path in paths] == [365, 11_166, 1]
    assert sorted(path.name for path in folder.iterdir()) == sorted(one.name for one in SOURCES)
    (folder / PLACES).write_text("cut off")
    assert download(folder, address(mirror)) == paths
    assert [len(read(path)) for path in paths] == [365, 11_166, 1]
    asked = mirror.asked  # type: ignore[attr-defined]  # set by `mirror`
    assert asked == [f"/{PLACES}", f"/{TENCENT}", f"/{OPEN_IMAGES}", f"/{PLACES}"]


def test_a_file_that_is_not_the_list_is_refused_and_not_kept(
    tmp_path: Path, mirror: ThreadingHTTPServer
) -> None:
    (tmp_path / "served" / PLACES).write_text("<html>log in first</html>")
    with pytest.raises(UserError, match=f"{PLACES} is not the list that was expected: sha256"):
        download(tmp_path / "kept", address(mirror))
    assert list((tmp_path / "kept").iterdir()) == []


def test_a_list_that_is_cut_off_on_the_way_is_refused(
    shared: Path, tmp_path: Path, mirror: ThreadingHTTPServer
) -> None:
    serve_official_files(shared, tmp_path)
    mirror.cut = {OPEN_IMAGES}  # type: ignore[attr-defined]  # read by Quiet
    with pytest.raises(UserError, match="was cut off after 10 of 1000 bytes"):
        download(tmp_path / "kept", address(mirror))
    assert not (tmp_path / "kept" / OPEN_IMAGES).exists()


def test_a_list_that_is_not_there_is_told_in_one_line(
    tmp_path: Path, mirror: ThreadingHTTPServer
) -> None:
    with pytest.raises(UserError, match=f"cannot fetch .*{PLACES}: .*File not found"):
        download(tmp_path / "kept", address(mirror))


def test_a_list_whose_sender_says_its_length_in_pieces_and_stops_is_told_in_one_line(
    tmp_path: Path, mirror: ThreadingHTTPServer
) -> None:
    mirror.broken = {PLACES}  # type: ignore[attr-defined]  # read by Quiet
    with pytest.raises(UserError, match=f"cannot fetch .*{PLACES}: .*IncompleteRead"):
        download(tmp_path / "kept", address(mirror))
    assert list((tmp_path / "kept").iterdir()) == []


@pytest.mark.parametrize("wrong", ["http://127.0.0.1:port/", "http://127.0.0.1:9/ a"])
def test_an_address_that_is_none_is_told_in_one_line(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(UserError, match=r"cannot fetch http"):
        download(tmp_path / "kept", wrong)


@pytest.mark.parametrize("place", ["file", "file/lists"])
def test_a_file_in_the_place_of_the_folder_is_told_in_one_line(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("a file")
    with pytest.raises(UserError, match=f"cannot write .*{place}: "):
        download(tmp_path / place, "http://127.0.0.1:9")


def test_a_host_that_is_down_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot fetch .*refused"):
        download(tmp_path / "kept", "http://127.0.0.1:9")
