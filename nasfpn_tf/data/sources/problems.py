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

"""Collects problems of a data set: counts by kind, lists by file and record, raises if `strict`."""

import dataclasses
from collections.abc import Iterator, Mapping

# What was done about a problem.
NOTED = 'noted'  # Worth knowing, nothing wrong: never an error.
FIXED = 'fixed'  # Put right; nothing is lost.
DROPPED = 'dropped'  # The record or the image was left out.
FOUND = 'found'  # Met in records that are already written.

# Kind -> (what is done about it, what it is).
KINDS = {
  'image_file_repeated': (NOTED, 'image file that is listed under several ids'),
  'image_found': (NOTED, 'image whose listed name differs in its prefix or slashes from the file that is there'),
  'image_ids_numbered': (NOTED, "image ids that are text: numbered, and kept as 'original_id' in the annotations"),
  'image_name_differs': (NOTED, 'XML file that refers to another image than its own name, and both exist'),
  'label_directory_found': (NOTED, 'root of a data set given instead of its label files: the label files are read'),
  'box_from_polygon': (NOTED, "annotation without 'bbox': the box of its polygon"),
  'image_transcoded': (NOTED, 'image stored as RGB JPEG because readers differ on its format'),
  'many_boxes': (NOTED, 'image with more boxes than a training step takes by default'),
  'box_repeated': (NOTED, 'the same box and category twice in one image'),
  'area_filled': (NOTED, "annotation without 'area': width x height of its box"),
  'category_name_filled': (NOTED, 'category without a name: its id'),
  'image_size_filled': (FIXED, 'image without width and height: read from the file'),
  'image_rotated': (FIXED, 'EXIF orientation applied to the pixels'),
  'orientation_dropped': (FIXED, 'EXIF orientation removed: the boxes were drawn on the pixels as stored'),
  'box_clipped': (FIXED, 'box reached outside the image: clipped'),
  'annotation_renumbered': (FIXED, 'annotation id missing, zero or taken: given a new one'),
  'crowd_flag_fixed': (FIXED, "'iscrowd' that is neither 0 nor 1"),
  'annotation_repeated': (DROPPED, 'the same annotation twice'),
  'box_dropped': (DROPPED, 'box without area inside the image, or not finite numbers'),
  'unknown_category': (DROPPED, 'annotation of a category that is not listed'),
  'unknown_image': (DROPPED, 'annotation of an image that is not listed'),
  'bad_annotation': (DROPPED, 'annotation with missing or ill-typed values'),
  'bad_image_entry': (DROPPED, 'image entry with missing or ill-typed values'),
  'duplicate_image': (DROPPED, 'image id that several images have: unclear whose boxes they are'),
  'image_missing': (DROPPED, 'no such image file'),
  'image_unreadable': (DROPPED, 'image truncated, corrupt or of an unknown format'),
  'image_size_mismatch': (DROPPED, 'image whose size differs from the one its boxes were drawn for'),
  'bad_label_file': (DROPPED, 'label file or line that cannot be read'),
  'broken_file': (FOUND, 'TFRecord file that is damaged, truncated or not the one its manifest describes'),
  'bad_record': (FOUND, "record that Model Garden's TfExampleDecoder cannot read"),
  'corrupt_image': (FOUND, 'image in a record that does not decode, or to another size'),
  'bad_box': (FOUND, 'box in a record that is not finite, empty, inverted or outside 0..1'),
  'bad_label': (FOUND, 'label in a record that is not a class of the manifest'),
  'duplicate_source_id': (FOUND, 'two records with the same source_id: evaluation would count one'),
  'annotations_differ': (FOUND, 'records and annotations differ'),
  'same_image': (FOUND, 'the same image twice in one split'),
  'leak': (FOUND, 'the same image in several splits: evaluation would be too optimistic'),
}


class DataError(ValueError):
  """Data that cannot be used; the message names the file and record and says what to do."""


@dataclasses.dataclass(frozen=True)
class Problem:
  """One problem: its kind (a key of `KINDS`), where it is and what it is."""

  kind: str
  where: str
  message: str

  def __str__(self) -> str:
    return f'{self.where}: {self.message} [{self.kind}, {KINDS[self.kind][0]}]'


class Problems:
  """A list of problems that counts them by kind."""

  def __init__(self):
    self.counts: dict[str, int] = {}
    self._problems: list[Problem] = []

  def add(self, kind: str, where: str, message: str) -> None:
    """Counts and keeps a problem of a kind in `KINDS`."""
    self._problems.append(Problem(kind, where, message))
    self.counts[kind] = self.counts.get(kind, 0) + 1

  def extend(self, problems: 'Problems') -> None:
    """Adds all of `problems`."""
    for problem in problems:
      self.add(problem.kind, problem.where, problem.message)

  @property
  def num_serious(self) -> int:
    """Number of problems that are more than notes."""
    return sum(count for kind, count in self.counts.items() if KINDS[kind][0] != NOTED)

  def raise_if_strict(self, strict: bool, shown: int = 10) -> None:
    """Raises a `DataError` that lists the first problems beyond notes, if `strict` and there are any."""
    serious = [problem for problem in self if KINDS[problem.kind][0] != NOTED]
    if strict and serious:
      rest = f'\n  ... and {len(serious) - shown} more' if len(serious) > shown else ''
      lines = ''.join(f'\n  {problem}' for problem in serious[:shown])
      raise DataError(f'{len(serious)} problems, which --strict makes errors:{lines}{rest}')

  def __iter__(self) -> Iterator[Problem]:
    return iter(self._problems)

  def __len__(self) -> int:
    return len(self._problems)

  def summary(self, examples: int = 3) -> str:
    """Summarizes each kind of problem in a line with its count and first examples; '' without problems."""
    lines = []
    for line, kind in zip(count_lines(self.counts), _in_order(self.counts), strict=True):
      shown = [problem for problem in self if problem.kind == kind][:examples]
      lines.extend([line, *(f'         {problem.where}: {problem.message}' for problem in shown)])
    return '\n'.join(lines)


def count_lines(counts: Mapping[str, int]) -> list[str]:
  """Writes a line for each kind of problem: how often it occurred, what it is, and what was done about it."""
  return [f'  {counts[kind]:>6} {kind}, {KINDS[kind][0]}: {KINDS[kind][1]}' for kind in _in_order(counts)]


def _in_order(counts: Mapping[str, int]) -> list[str]:
  return [kind for kind in KINDS if kind in counts]
