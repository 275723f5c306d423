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

"""Reads and writes the manifest beside TFRecord shards: their content and the meaning of their labels.

A set of records with the prefix P is `P-00000-of-00008.tfrecord` ..., `P.annotations.json` (the COCO JSON of exactly
the images written) and `P.manifest.json`. The manifest is written last, so where it exists the set is complete.
"""

import dataclasses
import glob
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from nasfpn_tf import safe_json
from nasfpn_tf.data.records import journal
from nasfpn_tf.data.sources.categories import Label

FORMAT = 1
SUFFIX = '.manifest.json'
ANNOTATIONS_SUFFIX = '.annotations.json'
PROBLEMS_SUFFIX = '.problems.txt'
_SHARD_TAIL = re.compile(r'-(\d{5})-of-(\d{5})\.tfrecord$')


@dataclasses.dataclass(frozen=True)
class Shard:
  """One TFRecord file; `file` is its name inside the manifest's directory."""

  file: str
  num_records: int
  num_bytes: int


@dataclasses.dataclass(frozen=True)
class Manifest:
  """Content of a set of TFRecord shards.

  Attributes:
    num_records: images in all shards.
    num_classes: largest label + 1, background included, as Model Garden counts.
    labels: one `{'label', 'id', 'name'}` a class, ordered by label.
    label_scheme: 'contiguous' (labels 1..K in the order of the category ids) or 'category_id' (label = category id).
    shards: the files, in order.
    problems: how many problems of each kind were met and fixed or dropped while writing; listed in P.problems.txt.
    path: where the manifest lies; '' for one that has not been written.
  """

  num_records: int
  num_classes: int
  labels: tuple[Label, ...]
  shards: tuple[Shard, ...]
  label_scheme: str = 'contiguous'
  problems: Mapping[str, int] = dataclasses.field(default_factory=dict)
  path: str = ''

  @property
  def prefix(self) -> str:
    """The P that all files of the set begin with."""
    return self.path.removesuffix(SUFFIX)

  @property
  def annotations_path(self) -> str:
    """The COCO JSON of exactly the images in the shards, with the user's own ids."""
    return self.prefix + ANNOTATIONS_SUFFIX

  @property
  def shard_paths(self) -> tuple[str, ...]:
    """Paths of the shards, in order."""
    directory = os.path.dirname(self.path)
    return tuple(os.path.join(directory, shard.file) for shard in self.shards)

  def shard(self, file: str) -> Shard | None:
    """Returns the shard with this file name, or None if the set has none."""
    return next((shard for shard in self.shards if shard.file == file), None)

  def to_dict(self) -> dict[str, Any]:
    """Returns the manifest as a JSON value."""
    return {
      'format': FORMAT,
      'num_records': self.num_records,
      'shards': [dataclasses.asdict(shard) for shard in self.shards],
      'num_classes': self.num_classes,
      'labels': [dict(label) for label in self.labels],
      'label_scheme': self.label_scheme,
      'problems': dict(self.problems),
    }

  @classmethod
  def from_dict(cls, value: Mapping[str, Any], path: str = '') -> 'Manifest':
    """Creates a manifest from what `to_dict` returned; a ValueError names `path` if it is not one."""
    try:
      if value['format'] != FORMAT:
        raise ValueError(f'format {value["format"]!r} is not {FORMAT}')
      manifest = cls(
        num_records=_whole(value, 'num_records'),
        num_classes=_whole(value, 'num_classes'),
        labels=parse_labels(value['labels']),
        shards=tuple(
          Shard(str(item['file']), _whole(item, 'num_records'), _whole(item, 'num_bytes')) for item in value['shards']
        ),
        label_scheme=str(value['label_scheme']),
        problems=dict(value.get('problems', {})),
        path=path,
      )
      manifest._check_totals()
      return manifest
    except KeyError as error:
      raise ValueError(f'{path or "manifest"}: the key {error} is missing; write the records again.') from error
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
      raise ValueError(f'{path or "manifest"}: not a manifest of create_tfrecord.py: {error}') from error

  def _check_totals(self) -> None:
    """Raises a ValueError where the shards are not those of a whole set, or do not add up."""
    files = [shard.file for shard in self.shards]
    repeated = sorted({file for file in files if files.count(file) > 1})
    if repeated:
      raise ValueError(f'it lists {repeated[0]} twice')
    missing = sorted({name for file in files for name in _siblings(file)} - set(files))
    if missing:
      raise ValueError(f'it does not list {", ".join(missing[:5])}{", ..." if len(missing) > 5 else ""}')
    total = sum(shard.num_records for shard in self.shards)
    if total != self.num_records:
      raise ValueError(f'num_records is {self.num_records}, but its {len(files)} shards have {total} records')

  @classmethod
  def load(cls, path: str | os.PathLike[str]) -> 'Manifest':
    """Reads `path` (local or a TensorFlow file system's, e.g. gs://).

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: the file is not a manifest.
    """
    path = os.fspath(path)
    try:
      value = safe_json.loads(_read_text(path))
    except ValueError as error:
      raise ValueError(f'{path}: {error}; write the records again.') from error
    return cls.from_dict(value, path)


def parse_labels(value: Any) -> tuple[Label, ...]:
  """Returns the labels of a JSON list of `{label, id, name}`.

  Raises:
    KeyError: an entry lacks one of the three.
    TypeError: it is no list of mappings.
    ValueError: a label or an id is not a whole number, or a name is no text.
  """
  if not isinstance(value, list):
    raise TypeError(f'labels are a list of {{label, id, name}}, not a {type(value).__name__}')
  for entry in value:
    if not isinstance(entry, Mapping):
      raise TypeError(f'a label is {{label, id, name}}, not {entry!r:.80}')
    if not isinstance(entry['name'], str):
      raise ValueError(f'the name of a label is text, not {entry["name"]!r:.80}')
  return tuple(Label(label=_whole(entry, 'label'), id=_whole(entry, 'id'), name=entry['name']) for entry in value)


def _whole(entry: Mapping[str, Any], key: str) -> int:
  number = entry[key]
  if isinstance(number, bool) or not isinstance(number, int):
    raise ValueError(f'{key} is a whole number, not {number!r:.80}')
  return number


def _siblings(file: str) -> list[str]:
  """Names of all shards of the set that a shard's name speaks of."""
  match = _SHARD_TAIL.search(file)
  if not match:
    return [file]
  count = int(match[2])
  return [f'{file[: match.start()]}-{index:05d}-of-{match[2]}.tfrecord' for index in range(count)]


def prefixes_of(input_path: str) -> list[str]:
  """Lists the possible P in 'P', 'P*', 'P-*', 'P-*.tfrecord', 'P-00000-of-00008.tfrecord' etc., most likely first."""
  if _SHARD_TAIL.search(input_path):
    return [_SHARD_TAIL.sub('', input_path)]
  if not _is_glob(input_path):
    return [input_path.removesuffix(SUFFIX).removesuffix('.tfrecord')]
  directory, name = _split(input_path)
  stem = directory + re.split(r'[*?[]', name, maxsplit=1)[0]
  return list(dict.fromkeys([stem.removesuffix('-'), re.sub(r'-\d{0,5}(-of-\d{0,5})?$', '', stem)]))


def find_manifests(input_path: str | Sequence[str] | None) -> list[Manifest]:
  """Finds the manifests of the record sets that `input_path` names, in its order; skips sets without one.

  Args:
    input_path: 'P-*', 'P-*.tfrecord', 'P*', 'P' or one shard of P; several of them comma-separated or as a sequence,
      as Model Garden takes them.

  Raises:
    ValueError: a manifest is broken, or several sets are named whose labels differ.
  """
  manifests = {}
  for pattern in split_patterns(input_path):
    for prefix in prefixes_of(pattern):
      found = manifests.get(prefix) or _load_if_there(prefix)
      if found:
        manifests[prefix] = found
        break
  first, *others = manifests.values() or [None]
  for other in others:
    if other.labels != first.labels:
      raise ValueError(f'{first.path} and {other.path} give different labels; write both with one label map.')
  return list(manifests.values())


def _load_if_there(prefix: str) -> Manifest | None:
  for _ in range(2):
    try:
      return Manifest.load(prefix + SUFFIX)
    except (FileNotFoundError, NotADirectoryError):
      if not journal.finish_beside(prefix):
        return None
  return None


def find_manifest(input_path: str | Sequence[str] | None) -> Manifest | None:
  """Returns the first of `find_manifests`, or None; for facts on which all of them agree, such as labels."""
  return next(iter(find_manifests(input_path)), None)


def match_shards(input_path: str | Sequence[str]) -> list[str]:
  """Lists the TFRecord files that `input_path` names; unlike a plain glob, never the JSON files beside them.

  A prefix or pattern whose manifest exists gives exactly that set's shards (a pattern: those that match it), so
  'train*' does not take in 'train_holdout-*'.

  Raises:
    FileNotFoundError: a pattern that matches no file.
  """
  matched = []
  for pattern in split_patterns(input_path):
    manifest = find_manifest(pattern)
    if '://' in pattern:
      import tensorflow as tf  # Only remote paths need TensorFlow's file systems.

      files = tf.io.gfile.glob(pattern if _is_glob(pattern) or pattern.endswith('.tfrecord') else pattern + '-*')
    elif _is_glob(pattern):
      directory, name = _split(pattern)
      files = glob.glob(glob.escape(directory) + name)
    else:
      files = [pattern] if os.path.isfile(pattern) else glob.glob(glob.escape(pattern) + '-*')
    files = sorted(file for file in files if not file.endswith('.json') and not file.endswith('.txt'))
    if manifest is not None:
      names = {shard.file for shard in manifest.shards}
      files = [file for file in files if os.path.basename(file) in names]
    if not files:
      raise FileNotFoundError(f'No TFRecord file matches {pattern!r}.')
    matched.extend(files)
  return matched


def split_patterns(input_path: str | Sequence[str] | None) -> list[str]:
  """Splits a Model Garden `input_path` (a string, comma-separated strings, or a sequence of them) into patterns."""
  if not input_path:
    return []
  values = [input_path] if isinstance(input_path, str) else input_path
  return [pattern.strip() for value in values for pattern in value.split(',') if pattern.strip()]


def exists(path: str) -> bool:
  """Tells whether there is such a file, local or on a TensorFlow file system."""
  if '://' not in path:
    return os.path.isfile(path)
  import tensorflow as tf  # Only remote paths need TensorFlow's file systems.

  return tf.io.gfile.exists(path)


def _is_glob(pattern: str) -> bool:
  return any(mark in _split(pattern)[1] for mark in '*?[')


def _split(pattern: str) -> tuple[str, str]:
  """Splits off the longest leading part that is a directory of exactly that name, whatever marks are in it."""
  directory = pattern.rpartition('/')[0]
  while directory and not os.path.isdir(directory):
    directory = directory.rpartition('/')[0]
  return directory, pattern[len(directory) :]


def _read_text(path: str) -> str:
  if '://' not in path:
    with open(path, encoding='utf-8') as file:
      return file.read()
  import tensorflow as tf  # Only remote paths need TensorFlow's file systems.

  try:
    with tf.io.gfile.GFile(path) as file:
      return file.read()
  except tf.errors.NotFoundError as error:
    raise FileNotFoundError(path) from error
