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
"""Makes splits of a data set and writes them as COCO JSON, with a file that says which image is in which."""

import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from nasfpn_tf import whole_file
from nasfpn_tf.data.sources.problems import DataError
from nasfpn_tf.fit.dataset import duplicates, reading
from nasfpn_tf.fit.dataset import splits as splits_lib
from nasfpn_tf.fit.dataset.part import Part
from nasfpn_tf.fit.dataset.reading import Dataset, Images

FEW_IMAGES, FEW_BOXES = 2, 10
SPLITS, SHOWN = 'splits.json', 'shown.txt'
NUM_SHOWN = 12


@dataclasses.dataclass(frozen=True)
class Prepared:
  """A data set in splits.

  Attributes:
    dataset: as read.
    splits: images by 'train', 'val' and, where the data has it, 'test'.
    notes: sentences for the user.
  """

  dataset: Dataset
  splits: dict[str, Images]
  notes: tuple[str, ...]


def split_names(parts: Sequence[Part]) -> tuple[str, ...]:
  """Names of the splits that a data set of these parts will have; 'test' only where it comes with an annotated one."""
  has_test = any(part.split == 'test' and reading.is_annotated(part) for part in parts)
  return ('train', 'val', 'test') if has_test and any(part.split == 'train' for part in parts) else ('train', 'val')


def prepare(
  root: str,
  parts: Sequence[Part],
  seed: int = 0,
  earlier: Mapping[str, Any] | None = None,
  progress: bool = True,
  min_images: int = FEW_IMAGES,
) -> Prepared:
  """Reads a data set and makes the missing splits.

  Args:
    root: of the data set.
    parts: see `format.find`.
    seed: of the choice of validation images.
    earlier: content of an earlier splits.json: its images stay where they are.
    progress: tell on stderr how far it is.
    min_images: how many different images training and validation need together.

  Raises:
    DataError: the data cannot be read, or cannot be divided, or is too little.
  """
  dataset = reading.read(root, parts)
  given, notes = dict(dataset.splits), []
  if 'train' not in given:  # Validation images alone are as good as images of no split.
    names = [name for name in ('', 'val', 'test') if name in given]
    given = {'train': _joined([given[name] for name in names])}
  elif '' in given:
    given['train'] = _joined([given['train'], given.pop('')])
  if 'test' in given and 'test' not in split_names(parts):
    notes.append(f'the test split has no annotation; its {len(given["test"])} images are left out.')
    del given['test']
  notes += _without_overlap(given)
  if 'val' not in given:
    given['train'], given['val'], note = _divide(root, given['train'], seed, earlier, progress)
    notes.append(note)
  elif not given['val'].num_boxes:
    raise DataError(
      f'{root}: none of the {len(given["val"])} validation images has a box; annotate them, or remove them.'
    )
  if min_images > FEW_IMAGES:
    _check_number(root, [*given['train'].names, *given['val'].names], min_images)
  notes += [*_empty_notes(given), *_class_notes(dataset, given)]
  return Prepared(dataset, {name: given[name] for name in ('train', 'val', 'test') if name in given}, tuple(notes))


def write(prepared: Prepared, directory: str | os.PathLike[str], root: str | os.PathLike[str] = '') -> None:
  """Writes `<split>.json` for each split, and `splits.json` one above, in which every image has its split.

  Args:
    prepared: what to write.
    directory: gets the files.
    root: of the data set; `shown.txt` lists some images of the last split, with boxes where there are, by paths.
  """
  directory = pathlib.Path(directory)
  directory.mkdir(parents=True, exist_ok=True)
  identifier = annotation = 0
  for name, images in prepared.splits.items():
    value: dict[str, Any] = {'images': [], 'annotations': [], 'categories': list(prepared.dataset.categories)}
    for file, (width, height), items in zip(images.names, images.sizes, images.annotations, strict=True):
      identifier += 1
      value['images'].append({'id': identifier, 'file_name': file, 'width': width, 'height': height})
      for item in items:
        annotation += 1
        value['annotations'].append({**item, 'id': annotation, 'image_id': identifier})
    _write_json(directory / f'{name}.json', value)
  last = list(prepared.splits.values())[-1]
  order = sorted(range(len(last)), key=lambda index: not last.annotations[index])[:NUM_SHOWN]
  paths = [os.path.abspath(os.path.join(root, last.names[index])) for index in sorted(order)]
  whole_file.write_text(directory / SHOWN, ''.join(f'{path}\n' for path in paths))
  _write_json(directory.parent / SPLITS, {name: list(images.names) for name, images in prepared.splits.items()})


def describe(prepared: Prepared) -> str:
  """Describes in a few lines what was read and how it is split."""
  classes = [str(category['name']) for category in prepared.dataset.categories]
  more = f', ... ({len(classes)} in all)' if len(classes) > 10 else ''
  counts = ', '.join(f'{name} {len(images)} ({images.num_boxes} boxes)' for name, images in prepared.splits.items())
  lines = [f'images: {counts}', f'classes: {", ".join(classes[:10])}{more}']
  problems = prepared.dataset.problems.summary()
  return '\n'.join([*lines, *(f'Note: {note}' for note in prepared.notes), *([problems] if problems else [])])


def load_earlier(path: str | os.PathLike[str]) -> dict[str, Any] | None:
  """Reads an earlier splits.json; None where there is none.

  Raises:
    DataError: it is there and is not what this module writes.
  """
  try:
    value = json.loads(pathlib.Path(path).read_text(encoding='utf-8'))
    if not isinstance(value, dict) or not all(isinstance(value.get(name), list) for name in ('train', 'val')):
      raise ValueError('no lists of images under train and val')
    return value
  except FileNotFoundError:
    return None
  except (OSError, ValueError) as error:
    raise DataError(f'{path}: cannot be read: {error}. Repair it, or remove it to split the images again.') from error


def _without_overlap(given: dict[str, Images]) -> list[str]:
  """Takes images that are in another split as well out of training; returns what to tell of it."""
  notes = []
  for split in ('val', 'test'):
    names = set(given[split].names) if split in given else set()
    both = names.intersection(given['train'].names)
    if not both:
      continue
    if len(both) == len(given['train']) and split == 'val':
      notes.append('validation has the images of training: other splits are drawn.')
      given['train'] = _joined([given['train'], given[split].take(_indices(given[split], names - both))])
      del given[split]
    elif len(both) == len(given['train']):
      raise DataError(f'all {len(both)} images for training are in the {split} split as well: remove one of the two.')
    else:
      notes.append(f'{len(both)} images for training are in the {split} split as well: training leaves them out.')
      given['train'] = given['train'].take(_indices(given['train'], set(given['train'].names) - both))
  return notes


def _indices(images: Images, names: Collection[str]) -> list[int]:
  return [index for index, name in enumerate(images.names) if name in names]


def _divide(root, images: Images, seed, earlier, progress) -> tuple[Images, Images, str]:
  """Returns (training images, validation images, how they were chosen)."""
  if len(images) < FEW_IMAGES:
    raise DataError(
      f'{root}: one image cannot be split into training and validation; annotate more, at least ten and preferably'
      f' a hundred.'
    )
  groups = duplicates.group([os.path.join(root, name) for name in images.names], progress)
  if len(set(groups.tolist())) < 2:
    raise DataError(f'{root}: all {len(images)} images are identical; there is nothing to validate on.')
  taken = {name: split == 'val' for split in ('train', 'val') for name in (earlier or {}).get(split, ())}
  chosen = splits_lib.choose(images.names, groups.tolist(), images.classes(), seed, taken)
  validation = [index for index, is_validation in enumerate(chosen) if is_validation]
  training = [index for index, is_validation in enumerate(chosen) if not is_validation]
  if not validation:
    raise DataError(
      f'{root}: every class occurs in a single image or in copies of one, so nothing can be validated; annotate more.'
    )
  copies = len(groups) - len(set(groups.tolist()))
  note = f'the data has no validation split: {len(validation)} of {len(images)} images were drawn with seed {seed}'
  note += f'; {copies} copies or near copies stay with their originals.' if copies else '.'
  return images.take(training), images.take(validation), note


def _check_number(root: str, names: Sequence[str], needed: int) -> None:
  seen = set()
  for name in names:
    with contextlib.suppress(OSError):  # Writing the records says what is wrong with it.
      seen.add(hashlib.sha256(pathlib.Path(root, name).read_bytes()).digest())
    if len(seen) >= needed:
      return
  raise DataError(
    f'{root}: {len(seen)} different images for training and validation together are too few; annotate more, at least'
    f' {needed} and preferably a hundred.'
  )


def _empty_notes(splits: Mapping[str, Images]) -> list[str]:
  """Returns what to say of images without a box: exports contain those that nobody has annotated yet."""
  empty = sum(not items for images in splits.values() for items in images.annotations)
  count = sum(map(len, splits.values()))
  if not empty:
    return []
  return [f'{empty} of {count} images have no box and count as images without objects; remove any not yet annotated.']


def _class_notes(dataset: Dataset, splits: Mapping[str, Images]) -> list[str]:
  """Returns what to say of classes that can hardly be learned or measured."""
  notes = []
  names = {category['id']: category['name'] for category in dataset.categories}
  counts = {
    split: {
      label: sum(item['category_id'] == label for items in images.annotations for item in items) for label in names
    }
    for split, images in splits.items()
  }
  for label, name in names.items():
    train, val = counts['train'][label], counts['val'][label]
    if train + val < FEW_BOXES:
      notes.append(
        f'class {name!r} has {train + val} boxes: too few to be learned; annotate more, or expect AP near 0 for it.'
      )
    elif not train or not val:
      notes.append(f'class {name!r} has boxes in {"validation" if val else "training"} alone.')
  return notes if len(notes) <= 5 else [*notes[:5], f'{len(notes) - 5} more classes have few boxes.']


def _joined(parts: Sequence[Images]) -> Images:
  return Images(*(sum((getattr(part, field) for part in parts), ()) for field in ('names', 'sizes', 'annotations')))


def _write_json(path: pathlib.Path, value: Any) -> None:
  whole_file.write_text(path, json.dumps(value, ensure_ascii=False))
