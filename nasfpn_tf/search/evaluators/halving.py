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

"""Stops poor trials early: asynchronous successive halving (ASHA, arXiv 1810.05934), in the variant that stops.

A child is evaluated at a few steps of its training, the rungs, each `eta` times as far as the one before. It goes on
from a rung if it is among the best 1/`eta` of the children that have come there so far, and it never waits for others.
What was decided is kept in one file of the search, so that a trial that is evaluated again is decided alike.
"""

import contextlib
import dataclasses
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

from nasfpn_tf import whole_file
from nasfpn_tf.search.evaluators import child as child_lib
from nasfpn_tf.search.problems import SearchError, explained

FILE = 'halving.json'


@dataclasses.dataclass(frozen=True)
class HalvingConfig:
  """The keys of `evaluator.halving`.

  Attributes:
    first_steps: steps of training at the first rung.
    eta: a rung is so many times as far as the one before, and one child of so many goes on.

  Raises:
    SearchError: at construction, naming the key.
  """

  first_steps: int
  eta: int = 3

  def __post_init__(self):
    child_lib.check_types(self)
    for key, least in (('first_steps', 1), ('eta', 2)):
      if getattr(self, key) < least:
        raise SearchError(f'evaluator.halving.{key} is {getattr(self, key)}, but must be at least {least}.')

  @classmethod
  def read(cls, config: Any) -> 'HalvingConfig':
    """Reads the mapping of a search configuration."""
    known = [field.name for field in dataclasses.fields(cls)]
    if not isinstance(config, Mapping) or 'first_steps' not in config or set(config) - set(known):
      raise SearchError(f'evaluator.halving is {config!r}; it must be a mapping with first_steps and, optionally, eta.')
    return cls(**config)

  def rungs(self, train_steps: int) -> list[int]:
    """Returns the steps at which a training of `train_steps` may end early; a SearchError if there are none."""
    found, step = [], self.first_steps
    while step < train_steps:
      found.append(step)
      step *= self.eta
    if not found:
      raise SearchError(
        f'evaluator.halving.first_steps is {self.first_steps}, but children are trained for {train_steps} steps only.'
      )
    return found


class Rungs:
  """The APs of all children at each rung, in a file that the workers of a search share."""

  def __init__(self, directory: str, eta: int):
    """Takes the search directory, which all workers see, and the share that goes on, one of `eta`."""
    self.path, self._eta = os.path.join(directory, FILE), eta

  def goes_on(self, trial_id: int, step: int, ap: float) -> bool:
    """Notes the AP of a trial at a rung and decides whether its training goes on; a decision is made once.

    Raises:
      SearchError: the file is damaged or cannot be written.
    """
    with self._owned() as rungs:
      rung = rungs.setdefault(str(step), {})
      if str(trial_id) not in rung:
        better = sum(entry['ap'] > ap for entry in rung.values())
        rung[str(trial_id)] = {'ap': ap, 'goes_on': better < max(1, (len(rung) + 1) // self._eta)}
        whole_file.write_json(self.path, rungs)
      return rung[str(trial_id)]['goes_on']

  @contextlib.contextmanager
  def _owned(self) -> Iterator[dict[str, dict[str, dict[str, Any]]]]:
    """Locks the file against other workers and reads it."""
    with explained(self.path):
      os.makedirs(os.path.dirname(self.path), exist_ok=True)
      with open(f'{self.path}.lock', 'w', encoding='utf-8') as lock:
        with contextlib.suppress(OSError):  # A file system without locks.
          fcntl.flock(lock, fcntl.LOCK_EX)
        yield self._read()

  def _read(self) -> dict[str, dict[str, dict[str, Any]]]:
    if not os.path.exists(self.path):
      return {}
    try:
      with open(self.path, encoding='utf-8') as file:
        rungs = json.load(file)
      for rung in rungs.values():
        for entry in rung.values():
          if not isinstance(entry['ap'], int | float) or not isinstance(entry['goes_on'], bool):
            raise ValueError(f'{entry!r} is no entry')
    except (ValueError, TypeError, KeyError, AttributeError) as e:
      raise SearchError(
        f'{self.path} is damaged: {e}. Restore a copy of it, or delete it: later trials are then only compared with'
        f' each other.'
      ) from e
    return rungs
