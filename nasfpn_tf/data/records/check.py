# Copyright 2026 The nasfpn_tf Authors.
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""Checks written records: broken entries, statistics, and images that two splits share."""

import collections
import dataclasses
import functools
import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from nasfpn_tf.data.progress import track
from nasfpn_tf.data.records import framing
from nasfpn_tf.data.records.manifest import Label, Manifest, find_manifest, match_shards
from nasfpn_tf.data.records.ordered_map import ordered_map
from nasfpn_tf.data.sources import coco, images
from nasfpn_tf.data.sources.problems import DataError, Problems

_SIDES = ('ymin', 'xmin', 'ymax', 'xmax')
_ROUNDING = 1e-5  # Of coordinates in 0..1 that are stored as float32.


@dataclasses.dataclass(frozen=True)
class CheckedRecord:
  """One image of a record, and what was found in it.

  Attributes:
    where: file name and index.
    source_id: the image's id; '' where there is none.
    size: height and width in pixels, as decoded.
    digest: SHA-256 of the image's bytes.
    boxes: float `[n, 4]`, ymin, xmin, ymax, xmax in pixels; the sound ones only.
    classes: int `[n]`.
    is_crowd: bool `[n]`.
    areas: float `[n]`, square pixels, by which evaluation tells small, medium and large.
    findings: (kind, message) of each problem.
    usable: whether the image can be used at all.
  """

  where: str
  source_id: str = ''
  size: tuple[int, int] = (0, 0)
  digest: bytes = b''
  boxes: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros((0, 4)))
  classes: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, np.int64))
  is_crowd: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, bool))
  areas: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0))
  findings: tuple[tuple[str, str], ...] = ()
  usable: bool = True


@dataclasses.dataclass(frozen=True)
class RecordSet:
  """Content of one split: `records` are the usable ones, `problems` those found.

  Attributes:
    input_path: as it was given.
    num_files: TFRecord files.
    labels: the manifest's; where there is none, one for each label met, called by its number.
    records: the usable ones, in the order of the files.
    problems: what was found.
  """

  input_path: str
  num_files: int
  labels: tuple[Label, ...]
  records: tuple[CheckedRecord, ...]
  problems: Problems


def check_records(
  input_path: str | Sequence[str],
  annotations: str | os.PathLike[str] | None = None,
  num_workers: int | None = None,
  progress: bool = True,
) -> RecordSet:
  """Reads every record: framing, CRCs, features, boxes, labels; decodes every image.

  Args:
    input_path: as in a training configuration: 'P-*' or the like.
    annotations: COCO JSON to compare with; None: the one that was written with the records, if it is there.
    num_workers: threads that decode; None: one a core.
    progress: tell on stderr how far it is.

  Raises:
    DataError: no such records, no record of them can be used, or the annotations are of no use.
  """
  name = input_path if isinstance(input_path, str) else ','.join(input_path)
  try:
    paths = match_shards(input_path)
  except FileNotFoundError as error:
    raise DataError(str(error)) from error
  manifest = find_manifest(input_path)
  problems = Problems()
  total = _check_files(paths, manifest, problems)
  known = frozenset(label['label'] for label in manifest.labels) if manifest else None
  records = []
  with ordered_map(functools.partial(check_record, known), _serialized(paths), num_workers) as results:
    for _, record in track(results, total, f'{name}: records', progress):
      where = f'{record.where} (source_id {record.source_id})' if record.source_id else record.where
      for kind, message in record.findings:
        problems.add(kind, where, message)
      if record.usable:
        records.append(record)
  if not records:
    raise DataError(f'{name}: no record can be used:\n{problems.summary()}')
  _find_repeated(records, problems)
  labels = manifest.labels if manifest else _labels_met(records)
  if annotations is None and manifest and os.path.exists(manifest.annotations_path):
    annotations = manifest.annotations_path
  if annotations is not None:
    whole = manifest is None or len(paths) == len(manifest.shards)
    _compare(records, annotations, whole, problems)
  return RecordSet(name, len(paths), labels, tuple(records), problems)


def find_leaks(sets: Sequence[RecordSet]) -> Problems:
  """Finds images that occur, byte for byte, in more than one of the sets."""
  problems = Problems()
  places: dict[bytes, dict[str, str]] = collections.defaultdict(dict)
  for split in sets:
    for record in split.records:
      places[record.digest].setdefault(split.input_path, record.source_id)
  for found in places.values():
    (first, source_id), *others = found.items()
    if others:
      also = ', '.join(f'{path} as source_id {identifier}' for path, identifier in others)
      problems.add('leak', f'{first} source_id {source_id}', f'also in {also}')
  return problems


def check_record(known_labels: frozenset[int] | None, item: tuple[str, bytes, bool]) -> CheckedRecord:
  """Checks one record.

  Args:
    known_labels: those that boxes may have; None: all from 1.
    item: where the record is, its bytes, and whether they are intact by their CRC.
  """
  where, data, intact = item
  if not intact:
    return _unusable(where, 'bad_record', 'the CRC of its data is wrong: damaged after it was written')
  try:
    features = tf.train.Example.FromString(data).features.feature
  except Exception as error:  # protobuf has moved its DecodeError more than once.
    return _unusable(where, 'bad_record', f'not a tf.train.Example: {images.reason(error)}')
  encoded, source_id = (_values(features, key, 'bytes_list') for key in ('image/encoded', 'image/source_id'))
  if len(encoded) != 1:
    return _unusable(where, 'bad_record', 'image/encoded is missing')
  if len(source_id) > 1:
    return _unusable(where, 'bad_record', f'image/source_id has {len(source_id)} values')
  # Some tools write none, and the image itself is its id then, as in `decode.source_id`.
  name = source_id[0].decode('utf-8', 'replace') if source_id else ''
  sides = [np.array(_values(features, f'image/object/bbox/{side}', 'float_list'), np.float64) for side in _SIDES]
  classes = np.array(_values(features, 'image/object/class/label', 'int64_list'), np.int64)
  if len({len(classes), *map(len, sides)}) > 1:
    lengths = ', '.join(str(len(values)) for values in (*sides, classes))
    return _unusable(where, 'bad_record', f'{", ".join(_SIDES)} and label have {lengths} values', name)
  try:
    images.stored_size(encoded[0])  # Before it is decoded: a small file may hold gigabytes.
    shape = tf.io.decode_image(encoded[0], channels=3).shape
  except (images.ImageError, tf.errors.OpError) as error:
    return _unusable(where, 'corrupt_image', images.reason(error), name)
  if len(shape) != 3:
    return _unusable(where, 'corrupt_image', f'GIF or WebP: TensorFlow decodes it to shape {shape}', name)
  height, width, _ = shape
  findings = []
  declared = [*_values(features, 'image/height', 'int64_list'), *_values(features, 'image/width', 'int64_list')]
  if declared and declared != [height, width]:
    findings.append(('corrupt_image', f'decodes to height, width {[height, width]}, not the declared {declared}'))
  boxes = np.stack(sides, axis=1)
  sound = np.ones(len(boxes), bool)
  for index, (box, label) in enumerate(zip(boxes, classes, strict=True)):
    kind = _box_problem(box, int(label), known_labels)
    if kind:
      findings.append((kind, f'box {index}: label {label}, ymin xmin ymax xmax {np.round(box, 5).tolist()}'))
      sound[index] = False
  boxes = boxes * [height, width, height, width]
  areas = np.array(_values(features, 'image/object/area', 'float_list'), np.float64)
  if len(areas) != len(boxes):
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
  crowd = np.array(_values(features, 'image/object/is_crowd', 'int64_list'), bool)
  crowd = crowd if len(crowd) == len(boxes) else np.zeros(len(boxes), bool)
  return CheckedRecord(
    where,
    name,
    (height, width),
    hashlib.sha256(encoded[0]).digest(),
    boxes[sound],
    classes[sound],
    crowd[sound],
    areas[sound],
    tuple(findings),
  )


def _values(features, key: str, kind: str) -> Sequence:
  return getattr(features[key], kind).value if key in features else ()


def _unusable(where: str, kind: str, message: str, source_id: str = '') -> CheckedRecord:
  return CheckedRecord(where, source_id, findings=((kind, message),), usable=False)


def _box_problem(box: np.ndarray, label: int, known_labels: frozenset[int] | None) -> str | None:
  ymin, xmin, ymax, xmax = box
  # Written so that a NaN fails.
  if not (-_ROUNDING <= ymin < ymax <= 1 + _ROUNDING and -_ROUNDING <= xmin < xmax <= 1 + _ROUNDING):
    return 'bad_box'
  if label < 1 or (known_labels is not None and label not in known_labels):
    return 'bad_label'
  return None


def _check_files(paths: Sequence[str], manifest: Manifest | None, problems: Problems) -> int:
  """Notes what is wrong with files as a whole; the number of records that can be reached."""
  total = 0
  for path in paths:
    try:
      total += framing.check_file(path, manifest)
    except framing.FramingError as error:
      problems.add('broken_file', path, str(error).removeprefix(f'{path}: '))
      total += sum(1 for _ in _reachable(framing.record_spans(path)))
  try:
    framing.check_complete(paths)
  except framing.FramingError as error:
    problems.add('broken_file', os.path.dirname(paths[0]) or '.', str(error))
  return total


def _serialized(paths: Iterable[str]) -> Iterator[tuple[str, bytes, bool]]:
  for path in paths:
    for index, (data, intact) in enumerate(_reachable(framing.read_records(path))):
      yield f'{os.path.basename(path)} record {index}', data, intact


def _reachable(items: Iterator) -> Iterator:
  """Yields the items up to the first framing error, which is reported elsewhere."""
  try:
    yield from items
  except framing.FramingError:
    return


def _find_repeated(records: Sequence[CheckedRecord], problems: Problems) -> None:
  ids: dict[str, str] = {}
  digests: dict[bytes, str] = {}
  for record in records:
    where = f'{record.where} (source_id {record.source_id})' if record.source_id else record.where
    if record.source_id and record.source_id in ids:
      problems.add('duplicate_source_id', where, f'is also that of {ids[record.source_id]}')
    if record.digest in digests:
      problems.add('same_image', where, f'is the image of {digests[record.digest]}')
    ids.setdefault(record.source_id, record.where)
    digests.setdefault(record.digest, where)


def _labels_met(records: Sequence[CheckedRecord]) -> tuple[Label, ...]:
  met = sorted({int(label) for record in records for label in record.classes})
  return tuple(Label(label=label, id=label, name=str(label)) for label in met)


def _compare(
  records: Sequence[CheckedRecord], annotations: str | os.PathLike[str], whole: bool, problems: Problems
) -> None:
  """Notes where records (the `whole` set or some of it) and a COCO JSON differ, and what is wrong with the JSON."""
  path = os.fspath(annotations)
  dataset = coco.read_coco(path, allow_empty=True)
  problems.extend(dataset.problems)
  expected = {str(image['id']): len(dataset.annotations[image['id']]) for image in dataset.images}
  for record in records:
    if record.source_id not in expected:
      problems.add('annotations_differ', record.where, f'source_id {record.source_id} is no image of {path}')
    elif expected[record.source_id] != len(record.boxes):
      problems.add(
        'annotations_differ',
        f'{record.where} (source_id {record.source_id})',
        f'{len(record.boxes)} sound boxes, {expected[record.source_id]} in {path}',
      )
  for source_id in sorted(expected.keys() - {record.source_id for record in records}) if whole else ():
    problems.add('annotations_differ', path, f'image {source_id} is in no usable record')
