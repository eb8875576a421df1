"""The strict reader: what it accepts, and one reason for each thing it refuses."""

import contextlib
import io
import json
import os
import stat
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.contract.digests import digest_of, tree_digest
from headway.contract.errors import HeadwayError, RefusedError
from headway.coreml import HeadLayout, initial_head
from headway.coreml.limits import ReadLimits
from headway.coreml.package import read_package
from headway.coreml.proto import encode, messages

HEAD = initial_head(HeadLayout(4, 3), 1)
MODEL = "com.apple.CoreML/model.mlmodel"
WEIGHTS = "com.apple.CoreML/weights"


def manifest(**changes):
    content = {
        "fileFormatVersion": "1.0.0",
        "itemInfoEntries": {
            "a": {"author": "x", "description": "m", "name": "model.mlmodel", "path": MODEL},
            "b": {"author": "x", "description": "w", "name": "weights", "path": WEIGHTS},
        },
        "rootModelIdentifier": "a",
    }
    return json.dumps(content | changes).encode()


def weight_file(values):
    """One float32 entry in the storage format, at offset 64."""
    data = np.asarray(values, dtype=np.float32).tobytes()
    header = struct.pack("<II", 1, 2).ljust(64, b"\0")
    entry = struct.pack("<IIQQ", 0xDEADBEEF, 2, len(data), 128).ljust(64, b"\0")
    return header + entry + data


def program(file="@model_path/weights/weight.bin", offset=64, size=5):
    """An ML Program that refers to one float32 vector in a weight file."""
    model = messages().Model()
    model.specificationVersion = 6
    block = model.mlProgram.functions["main"].block_specializations["CoreML5"]
    value = block.operations.add(type="const").attributes["val"]
    value.type.tensorType.dataType = 11
    value.type.tensorType.rank = 1
    value.type.tensorType.dimensions.add().constant.size = size
    value.blobFileValue.fileName = file
    value.blobFileValue.offset = offset
    return encode(model)


def contents(**changes):
    files = {
        "Manifest.json": manifest(),
        f"Data/{MODEL}": program(),
        f"Data/{WEIGHTS}/weight.bin": weight_file(range(5)),
    }
    return {name: data for name, data in (files | changes).items() if data is not None}


def write_folder(root: Path, files) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def write_zip(path: Path, files, prefix="m.mlpackage/") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(prefix + name, data)
    return path


def refused(path, limits=None):
    with pytest.raises(RefusedError) as caught:
        read_package(path, limits or ReadLimits())
    assert caught.value.hint
    return caught.value.code


def test_a_single_file(tmp_path):
    path = tmp_path / "head.mlmodel"
    path.write_bytes(HEAD)
    package = read_package(path)
    assert package.spec_bytes == HEAD
    assert package.digest == digest_of(HEAD)
    assert package.weights is None
    assert not package.is_package


def test_folder_and_zip_are_the_same_package(tmp_path):
    files = contents()
    folder = read_package(write_folder(tmp_path / "m.mlpackage", files))
    packed = read_package(write_zip(tmp_path / "m.zip", files))
    bare = read_package(write_zip(tmp_path / "bare.zip", files, prefix=""))
    assert folder.digest == packed.digest == bare.digest
    assert folder.digest == tree_digest((name, digest_of(data), len(data)) for name, data in files.items())
    assert folder.files == packed.files
    assert folder.spec == packed.spec
    assert folder.weights.read_bytes() == packed.weights == files[f"Data/{WEIGHTS}/weight.bin"]
    assert folder.weight_file("@model_path/weights/weight.bin") == folder.weights
    assert folder.weights_folder == tmp_path / "m.mlpackage" / "Data" / WEIGHTS
    assert packed.weights_folder is None
    with pytest.raises(RefusedError):
        folder.weight_file("@model_path/weights/other.bin")


def item(path):
    return {"a": {"path": MODEL}, "b": {"path": WEIGHTS}, "c": {"path": path}}


BAD_MANIFESTS = {
    "not json": b"{",
    "not utf-8": b"\xff\xfe{}",
    "a list": b"[]",
    "deep": b"[" * 100_000,
    "twice": b'{"fileFormatVersion": "1.0.0", "fileFormatVersion": "1.0.0"}',
    "version": manifest(fileFormatVersion="2.0.0"),
    "no version": manifest(fileFormatVersion=None),
    "entries": manifest(itemInfoEntries=[]),
    "no path": manifest(itemInfoEntries={"a": {}}),
    "root": manifest(rootModelIdentifier="z"),
    "root is a folder": manifest(rootModelIdentifier="b"),
    "traversal": manifest(itemInfoEntries=item("../../secret")),
    "absolute": manifest(itemInfoEntries=item("/etc/passwd")),
    "backslash": manifest(itemInfoEntries=item("..\\secret")),
    "unlisted weights": manifest(itemInfoEntries={"a": {"path": MODEL}}),
    "prefix is not a folder": manifest(itemInfoEntries=item("com.apple.CoreML/weights/weight")),
}


@pytest.mark.parametrize("case", BAD_MANIFESTS)
def test_manifests_that_are_refused(tmp_path, case):
    files = contents(**{"Manifest.json": BAD_MANIFESTS[case]})
    assert refused(write_folder(tmp_path / "m.mlpackage", files)) == "package"
    assert refused(write_zip(tmp_path / "m.zip", files)) == "package"


def test_a_folder_without_manifest(tmp_path):
    assert refused(write_folder(tmp_path / "m.mlpackage", contents(**{"Manifest.json": None}))) == "package"


def test_a_listed_folder_may_be_empty(tmp_path):
    files = contents(**{f"Data/{MODEL}": HEAD, f"Data/{WEIGHTS}/weight.bin": None})
    assert read_package(write_folder(tmp_path / "m.mlpackage", files)).weights is None


def test_an_extra_file(tmp_path):
    folder = write_folder(tmp_path / "m.mlpackage", contents(**{"Data/extra": b"x"}))
    assert refused(folder) == "package"


@pytest.mark.parametrize("kind", ["link to a file", "link to a folder", "pipe"])
def test_only_regular_files(tmp_path, kind):
    folder = write_folder(tmp_path / "m.mlpackage", contents())
    weights = folder / "Data" / WEIGHTS / "weight.bin"
    moved = tmp_path / "elsewhere"
    if kind == "link to a folder":
        weights.parent.rename(moved)
        weights.parent.symlink_to(moved)
    else:
        weights.rename(moved)
        os.mkfifo(weights) if kind == "pipe" else weights.symlink_to(moved)
    assert refused(folder) == "package"


@pytest.mark.parametrize(
    "limits",
    [ReadLimits(files=2), ReadLimits(file_bytes=100), ReadLimits(total_bytes=300), ReadLimits(spec_bytes=10),
     ReadLimits(manifest_bytes=10), ReadLimits(depth=2), ReadLimits(zip_total_bytes=100)],
)  # fmt: skip
def test_limits(tmp_path, limits):
    files = contents()
    if limits.total_bytes != 300:
        assert refused(write_zip(tmp_path / "m.zip", files), limits) in ("too_large", "package")
    if limits.zip_total_bytes != 100:
        assert refused(write_folder(tmp_path / "m.mlpackage", files), limits) in ("too_large", "package")


def test_the_limit_of_a_single_file(tmp_path):
    path = tmp_path / "head.mlmodel"
    path.write_bytes(HEAD)
    assert refused(path, ReadLimits(spec_bytes=len(HEAD) - 1)) == "too_large"


BAD_NAMES = [
    "../evil",
    "/etc/evil",
    "a/../../evil",
    "Data\\evil",
    "Data//evil",
    "Data/./evil",
    "C:evil",
    "évil",
    "a\x01b",
    "end ",
    "end.",
]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_zip_names_that_are_refused(tmp_path, name):
    path = write_zip(tmp_path / "m.zip", contents(), prefix="")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, b"x")
    assert refused(path) == "package"
    assert not list(tmp_path.glob("**/evil"))


def test_zip_entries_without_a_name_are_refused(tmp_path):
    path = write_zip(tmp_path / "m.zip", contents(), prefix="")
    data = bytearray(path.read_bytes())
    at = data.rfind(b"PK\x01\x02")
    data[at + 28 : at + 34] = bytes(4) + data[at + 28 : at + 30]  # its name becomes its comment
    path.write_bytes(data)
    assert refused(path) == "package"


@pytest.mark.parametrize("name", ["Manifest.json", "manifest.JSON", f"data/{MODEL}", "Data/com.apple.CoreML"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_zip_names_that_clash(tmp_path, name):
    path = write_zip(tmp_path / "m.zip", contents(), prefix="")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, b"x")
    assert refused(path) == "package"


def test_zip_links_are_refused(tmp_path):
    path = write_zip(tmp_path / "m.zip", contents(), prefix="")
    link = zipfile.ZipInfo("Data/link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    assert refused(path) == "package"


def test_zip_bombs_are_refused_before_they_unpack(tmp_path):
    path = write_zip(tmp_path / "m.zip", contents(**{"Data/zeros": bytes(64 * 1024 * 1024)}), prefix="")
    assert path.stat().st_size < 100_000
    assert refused(path) == "too_large"


def test_zip_sizes_that_lie(tmp_path):
    path = write_zip(tmp_path / "m.zip", contents(), prefix="")
    data = bytearray(path.read_bytes())
    record = data.find(b"PK\x01\x02")  # the central directory's first record: uncompressed size at +24
    size = struct.unpack_from("<I", data, record + 24)[0]
    for lie in (size - 1, size + 1):
        struct.pack_into("<I", data, record + 24, lie)
        path.write_bytes(data)
        assert refused(path) == "package"


def test_zip_with_bytes_around_it(tmp_path):
    path = write_zip(tmp_path / "m.zip", contents(), prefix="")
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = b"PK\x05\x06 hidden"
    assert refused(path) == "package"


def test_overlapping_zip_entries(tmp_path):
    path = write_zip(tmp_path / "m.zip", contents(), prefix="")
    data = bytearray(path.read_bytes())
    first = data.find(b"PK\x01\x02")
    second = data.find(b"PK\x01\x02", first + 4)
    struct.pack_into("<I", data, second + 42, struct.unpack_from("<I", data, first + 42)[0])
    path.write_bytes(data)
    assert refused(path) in ("package", "too_large")


BAD_WEIGHTS = {
    "another file": contents(**{f"Data/{MODEL}": program(file="@model_path/weights/other.bin")}),
    "traversal": contents(**{f"Data/{MODEL}": program(file="@model_path/../../secret")}),
    "absolute": contents(**{f"Data/{MODEL}": program(file="/etc/passwd")}),
    "past the end": contents(**{f"Data/{MODEL}": program(offset=1 << 20)}),
    "huge offset": contents(**{f"Data/{MODEL}": program(offset=2**64 - 64)}),
    "off the grid": contents(**{f"Data/{MODEL}": program(offset=65)}),
    "the header": contents(**{f"Data/{MODEL}": program(offset=0)}),
    "no entry": contents(
        **{f"Data/{MODEL}": program(offset=128), f"Data/{WEIGHTS}/weight.bin": weight_file(range(50))}
    ),
    "another size": contents(**{f"Data/{MODEL}": program(size=6)}),
    "cut": contents(**{f"Data/{WEIGHTS}/weight.bin": weight_file(range(5))[:-1]}),
    "empty": contents(**{f"Data/{WEIGHTS}/weight.bin": b""}),
    "version": contents(**{f"Data/{WEIGHTS}/weight.bin": b"\1\0\0\0\3" + weight_file(range(5))[5:]}),
}


@pytest.mark.parametrize("case", BAD_WEIGHTS)
def test_weight_references_that_are_refused(tmp_path, case):
    assert refused(write_folder(tmp_path / "m.mlpackage", BAD_WEIGHTS[case])) == "weights"
    assert refused(write_zip(tmp_path / "m.zip", BAD_WEIGHTS[case])) == "weights"


def test_a_single_file_cannot_refer_to_weights(tmp_path):
    path = tmp_path / "m.mlmodel"
    path.write_bytes(program())
    assert refused(path) == "weights"


def test_nothing_and_nonsense(tmp_path):
    assert refused(tmp_path / "none.mlmodel") == "not_found"
    (tmp_path / "text.mlmodel").write_text("hello, this is not a model")
    assert refused(tmp_path / "text.mlmodel") == "model_unreadable"
    (tmp_path / "empty.zip").write_bytes(b"PK\x03\x04")
    assert refused(tmp_path / "empty.zip") == "package"


@given(st.data())
@settings(max_examples=80, deadline=None)
def test_mutated_zips_never_raise_anything_else(tmp_path_factory, data):
    whole = bytearray(ZIP)
    for _ in range(data.draw(st.integers(1, 6))):
        position = data.draw(st.integers(0, len(whole) - 1))
        whole[position] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(len(whole) // 2, len(whole)))
    path = tmp_path_factory.getbasetemp() / "mutated.zip"
    path.write_bytes(b"PK\x03\x04" + whole[4:cut])
    with contextlib.suppress(HeadwayError):
        read_package(path)


def _zip_bytes():
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents().items():
            archive.writestr(name, content)
    return stream.getvalue()


ZIP = _zip_bytes()
