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

"""Writes a checked data set as sharded TFRecords with the feature keys of Model Garden's `TfExampleDecoder`.

Images are read, checked and written one after the other by a few threads, so memory does not grow with their number.
The same input gives the same bytes. Nothing appears under its final name before all of it is on disk (`staging`).
"""

import contextlib
import functools
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import tensorflow as tf

from nasfpn_tf.data.progress import track
from nasfpn_tf.data.records.manifest import ANNOTATIONS_SUFFIX, PROBLEMS_SUFFIX, SUFFIX, Label, Manifest, Shard
from nasfpn_tf.data.records.ordered_map import ordered_map
from nasfpn_tf.data.records.staging import Staging
from nasfpn_tf.data.sources import coco as coco_lib
from nasfpn_tf.data.sources import images
from nasfpn_tf.data.sources.coco import CocoDataset
from nasfpn_tf.data.sources.problems import DataError, Problems, count_lines

HOLDOUT_SUFFIX = '_holdout'


def write_tfrecords(
  coco: CocoDataset | Mapping[str, Any] | str | os.PathLike[str],
  image_dir: str | os.PathLike[str],
  output_prefix: str | os.PathLike[str],
  num_shards: int = 8,
  labels: str = 'contiguous',
  *,
  holdout_images: int = 0,
  seed: int = 0,
  strict: bool = False,
  max_boxes: int = 100,
  num_workers: int | None = None,
  progress: bool = True,
) -> Manifest:
  """Writes the shards, annotations and manifest of a data set; with `holdout_images` those of the held-out set, too.

  Args:
    coco: a checked data set, a COCO JSON value, or the path of a COCO JSON file.
    image_dir: directory that the file names are relative to.
    output_prefix: P of `P-00000-of-00008.tfrecord`, `P.annotations.json`, `P.manifest.json` and, where there were any,
      `P.problems.txt`. A finished set of the same prefix is replaced once the new one is complete.
    num_shards: number of files, at most one an image. Images are spread over them at random, by `seed`.
    labels: 'contiguous' (1..K in the order of the category ids) or 'category_id'.
    holdout_images: this many images, chosen by `seed`, go to a set of their own with the prefix `P_holdout`.
    seed: of the order of the images and the choice of the held-out ones.
    strict: make every problem that is more than a note an error; nothing is written then.
    max_boxes: images with more boxes are noted; Model Garden's input takes 100 by default.
    num_workers: threads that read and check images; None: one a core.
    progress: tell on stderr how far it is.

  Returns:
    the manifest of `output_prefix`.

  Raises:
    DataError: the data cannot be used, a problem was met under `strict`, or the output is in use or not ours.
  """
  if num_shards < 1:
    raise ValueError(f'num_shards must be at least 1, got {num_shards}.')
  prefix, image_dir = os.fspath(output_prefix), os.fspath(image_dir)
  dataset = _as_dataset(coco, image_dir)
  label_map = dataset.labels(labels)
  problems = Problems()
  problems.extend(dataset.problems)
  problems.raise_if_strict(strict)
  parts = [(prefix, dataset, problems)]
  if holdout_images:
    rest, held_out = coco_lib.split_holdout(dataset, holdout_images, seed)
    parts = [(prefix, rest, problems), (prefix + HOLDOUT_SUFFIX, held_out, Problems())]
  elif os.path.exists(prefix + HOLDOUT_SUFFIX + SUFFIX):
    raise DataError(
      f'{prefix + HOLDOUT_SUFFIX}-* contains images held out by an earlier run, which would now be in {prefix}-* as '
      'well: remove them or pass holdout_images.'
    )
  encode = functools.partial(_encode_file, image_dir)
  with _explained(prefix), Staging(prefix) as staging:
    for part_prefix, part, part_problems in parts:
      staging.check_replaceable(part_prefix)
      write = _SetWriter(staging, os.path.basename(part_prefix), part, label_map, part_problems, max_boxes)
      with ordered_map(encode, coco_lib.shuffled(part.images, seed), num_workers) as encoded:
        description = f'{os.path.basename(part_prefix)}: images'
        write.shards(track(encoded, len(part.images), description, progress), num_shards)
      part_problems.raise_if_strict(strict)
      write.json_files(labels)
    staging.commit([part_prefix for part_prefix, _, _ in parts])
  return Manifest.load(prefix + SUFFIX)


@contextlib.contextmanager
def _explained(prefix: str) -> Iterator[None]:
  """Names what could not be written, and what became of what was there."""
  try:
    yield
  except (tf.errors.OpError, OSError) as error:
    what = getattr(error, 'strerror', None) or images.reason(error)
    there = 'the existing set is unchanged' if os.path.exists(prefix + SUFFIX) else 'no file is left behind'
    raise DataError(
      f'{prefix}: the records cannot be written ({what}); {there}. Make room and run it again.'
    ) from error


def describe(manifest: Manifest) -> str:
  """Summarizes in a few lines what was written and which problems were found."""
  sets = [manifest]
  holdout = manifest.prefix + HOLDOUT_SUFFIX + SUFFIX
  if os.path.exists(holdout):
    sets.append(Manifest.load(holdout))
  lines = []
  for item in sets:
    lines.append(f'{item.prefix}-*.tfrecord: {item.num_records} images in {len(item.shards)} files')
    if item.problems:
      lines.append(f'  listed in {item.prefix}{PROBLEMS_SUFFIX}:')
      lines.extend(count_lines(item.problems))
  names = ', '.join(f'{label["label"]} {label["name"]}' for label in manifest.labels[:10])
  more = f', ... {manifest.labels[-1]["label"]} {manifest.labels[-1]["name"]}' if len(manifest.labels) > 10 else ''
  lines.append(f'labels ({len(manifest.labels)} classes, num_classes {manifest.num_classes}): {names}{more}')
  return '\n'.join(lines)


def to_example(
  image: Mapping[str, Any],
  encoded: images.EncodedImage,
  annotations: Sequence[Mapping[str, Any]],
  labels: Mapping[int, Label],
) -> tf.train.Example:
  """Builds the record of one image.

  Args:
    image: its COCO entry.
    encoded: the image itself.
    annotations: its COCO annotations, checked.
    labels: label by category id.
  """
  boxes = [item['bbox'] for item in annotations]
  width, height = encoded.width, encoded.height
  classes = [labels[item['category_id']] for item in annotations]
  features = {
    'image/encoded': _bytes([encoded.data]),
    'image/format': _bytes([encoded.format.encode()]),
    'image/height': _ints([height]),
    'image/width': _ints([width]),
    'image/filename': _bytes([image['file_name'].encode()]),
    'image/source_id': _bytes([str(image['id']).encode()]),
    'image/key/sha256': _bytes([hashlib.sha256(encoded.data).hexdigest().encode()]),
    'image/object/bbox/xmin': _floats([x / width for x, _, _, _ in boxes]),
    'image/object/bbox/xmax': _floats([min((x + w) / width, 1.0) for x, _, w, _ in boxes]),
    'image/object/bbox/ymin': _floats([y / height for _, y, _, _ in boxes]),
    'image/object/bbox/ymax': _floats([min((y + h) / height, 1.0) for _, y, _, h in boxes]),
    'image/object/class/label': _ints([label['label'] for label in classes]),
    'image/object/class/text': _bytes([label['name'].encode() for label in classes]),
    'image/object/is_crowd': _ints([item['iscrowd'] for item in annotations]),
    'image/object/area': _floats([item['area'] for item in annotations]),
  }
  return tf.train.Example(features=tf.train.Features(feature=features))


class _SetWriter:
  """Writes one set of records into the staging directory."""

  def __init__(
    self,
    staging: Staging,
    name: str,
    dataset: CocoDataset,
    labels: Sequence[Label],
    problems: Problems,
    max_boxes: int,
  ):
    self._staging = staging
    self._name = name
    self._dataset = dataset
    self._labels = labels
    self._problems = problems
    self._max_boxes = max_boxes
    self._written: set[int] = set()
    self._shards: list[Shard] = []

  def shards(self, encoded: Iterator, num_shards: int) -> None:
    """Writes all images; `encoded` gives (COCO image entry, its `EncodedImage` or the `ImageError`)."""
    total = len(self._dataset.images)
    num_shards = min(num_shards, total)
    by_category = {label['id']: label for label in self._labels}
    for index in range(num_shards):
      size = total * (index + 1) // num_shards - total * index // num_shards
      name = f'{self._name}-{index:05d}-of-{num_shards:05d}.tfrecord'
      path = self._staging.path(name)
      num_records = 0
      with tf.io.TFRecordWriter(path) as writer:
        for _ in range(size):
          image, result = next(encoded)
          annotations = self._note(image, result)
          if annotations is not None:
            example = to_example(image, result, annotations, by_category)
            writer.write(example.SerializeToString(deterministic=True))
            self._written.add(image['id'])
            num_records += 1
      self._shards.append(Shard(name, num_records, os.path.getsize(path)))
    next(encoded, None)  # Lets the progress end.
    if not self._written:
      raise DataError(f'none of the {total} images can be used:\n{self._problems.summary()}')

  def json_files(self, label_scheme: str) -> None:
    """Writes the annotations, the list of problems and the manifest."""
    path = self._staging.path
    _write_coco(path(self._name + ANNOTATIONS_SUFFIX), self._dataset.subset(self._written).to_json())
    if len(self._problems):
      with open(path(self._name + PROBLEMS_SUFFIX), 'w', encoding='utf-8', errors='backslashreplace') as file:
        file.writelines(f'{problem}\n' for problem in self._problems)
    manifest = Manifest(
      num_records=len(self._written),
      num_classes=max(label['label'] for label in self._labels) + 1,
      labels=tuple(self._labels),
      shards=tuple(self._shards),
      label_scheme=label_scheme,
      problems=self._problems.counts,
    )
    with open(path(self._name + SUFFIX), 'w', encoding='utf-8') as file:
      json.dump(manifest.to_dict(), file, indent=1)
      file.write('\n')

  def _note(self, image: Mapping[str, Any], result: images.EncodedImage | images.ImageError) -> list | None:
    """Returns the annotations to write, or None if the image is skipped; adds its problems to the list."""
    where = f'image {image["id"]} ({image["file_name"]})'
    if isinstance(result, images.ImageError):
      self._problems.add(result.kind, where, str(result))
      return None
    if result.change:
      kind, message = result.change
      self._problems.add(kind, where, message)
    annotations = self._dataset.annotations.get(image['id'], [])
    if len(annotations) > self._max_boxes:
      self._problems.add('many_boxes', where, f'{len(annotations)} boxes')
    return annotations


def _encode_file(image_dir: str, entry: Mapping[str, Any]) -> images.EncodedImage | images.ImageError:
  try:
    with open(os.path.join(image_dir, entry['file_name']), 'rb') as file:
      data = file.read()
  except (OSError, ValueError) as error:
    return images.missing(error)
  try:
    return images.encode(data, entry['width'], entry['height'])
  except images.ImageError as error:
    return error


def _as_dataset(coco: CocoDataset | Mapping[str, Any] | str | os.PathLike[str], image_dir: str) -> CocoDataset:
  if isinstance(coco, CocoDataset):
    return coco
  if isinstance(coco, Mapping):
    return coco_lib.check_coco(coco, image_dir=image_dir)
  return coco_lib.read_coco(coco, image_dir)


def _write_coco(path: str, value: Mapping[str, Any]) -> None:
  """Writes COCO JSON with one record per line, piece by piece so that memory stays bounded."""
  with open(path, 'w', encoding='utf-8') as file:
    file.write('{"info": ' + json.dumps(value['info']))
    for key in ('images', 'annotations', 'categories'):
      file.write(f',\n"{key}": [')
      for index, item in enumerate(value[key]):
        file.write((',\n' if index else '\n') + json.dumps(item))
      file.write('\n]')
    file.write('}\n')


def _bytes(values: Sequence[bytes]) -> tf.train.Feature:
  return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))


def _ints(values: Sequence[int]) -> tf.train.Feature:
  return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def _floats(values: Sequence[float]) -> tf.train.Feature:
  return tf.train.Feature(float_list=tf.train.FloatList(value=values))
