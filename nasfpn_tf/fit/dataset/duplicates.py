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
"""Groups identical and nearly identical images, which must stay in one split."""

import hashlib
import os
from collections.abc import Sequence
from concurrent import futures

import numpy as np
from PIL import Image

from nasfpn_tf.data import progress

SIDE = 16  # A hash has SIDE**2 bits.
NEAR = 24  # Bits that may differ; docs/fit.md.
_WORDS = SIDE * SIDE // 64
_MANY = 10  # Images that may always be a group.
_LARGEST = 0.1  # Share of the images that a group of near duplicates may have.


def group(paths: Sequence[str], show_progress: bool = True) -> np.ndarray:
  """Groups images by content: the same bytes, or nearly the same small image.

  Nearly the same is told by a difference hash of 16 x 16 bits (which of two neighboring pixels of a 17 x 16 thumbnail
  is brighter), of which at most `NEAR` may differ: re-encoding and resizing flip a few, other images about half.
  Images so plain that a tenth of all would be one group are grouped by their bytes alone.

  Args:
    paths: of the images; one that cannot be read is a group of its own.
    show_progress: tell on stderr how far it is.

  Returns:
    int `[n]`: for each image the index of the first one of its group.
  """
  hashes = np.zeros((len(paths), _WORDS), np.uint64)
  digests, readable = [], np.zeros(len(paths), bool)
  with futures.ThreadPoolExecutor(os.cpu_count()) as pool:
    results = progress.track(pool.map(_read, paths), len(paths), 'duplicates: images', show_progress)
    for index, (digest, bits) in enumerate(results):
      digests.append(digest)
      if bits is not None:
        hashes[index], readable[index] = bits, True
  exact = _join(len(paths), _same(digests))
  near = _join(len(paths), [*_same(digests), *_near(hashes, readable)])
  sizes = np.bincount(near, minlength=len(paths))
  too_large = sizes[near] > max(_MANY, _LARGEST * len(paths))
  return np.where(too_large, exact, near)


def difference_hash(image: Image.Image) -> np.ndarray:
  """Returns the difference hash of an image as uint64 `[4]`."""
  image.draft('L', (4 * SIDE, 4 * SIDE))
  small = np.asarray(image.convert('L').resize((SIDE + 1, SIDE), Image.Resampling.BOX), np.int16)
  return np.packbits(small[:, 1:] > small[:, :-1]).view(np.uint64)


def _read(path: str) -> tuple[str, np.ndarray | None]:
  try:
    with open(path, 'rb') as file:
      digest = hashlib.sha256(file.read()).hexdigest()
      file.seek(0)
      return digest, difference_hash(Image.open(file))
  except Exception:  # Whatever malformed bytes lead Pillow to; the records' own check names the file.
    return f'unreadable {path}', None


def _same(digests: Sequence[str]) -> list[tuple[int, int]]:
  first: dict[str, int] = {}
  return [(first.setdefault(digest, index), index) for index, digest in enumerate(digests)]


def _near(hashes: np.ndarray, readable: np.ndarray) -> list[tuple[int, int]]:
  """Pairs of images whose hashes differ in at most `NEAR` bits."""
  known, pairs = np.flatnonzero(readable), []
  for position, index in enumerate(known[:-1]):
    others = known[position + 1 :]
    bits = np.bitwise_count(hashes[others] ^ hashes[index]).sum(1, dtype=int)
    pairs += [(int(index), int(other)) for other in others[bits <= NEAR]]
  return pairs


def _join(count: int, pairs: Sequence[tuple[int, int]]) -> np.ndarray:
  """Returns for each of `count` things the lowest one that pairs connect it with."""
  parents = list(range(count))

  def first(index: int) -> int:
    while parents[index] != index:
      parents[index] = parents[parents[index]]
      index = parents[index]
    return index

  for one, other in pairs:
    one, other = sorted((first(one), first(other)))
    parents[other] = one
  return np.array([first(index) for index in range(count)], int)
