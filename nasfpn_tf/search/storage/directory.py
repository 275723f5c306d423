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

"""Manages the directory of a search: the paths of its files, and the lock for writing."""

import fcntl
import os

from nasfpn_tf import whole_file
from nasfpn_tf.search.problems import SearchError, explained


class SearchDirectory:
  """The files of a search: `search.sqlite`, and what is derived from it: `trials.jsonl`, `best.json`, `best.yaml`,
  `pareto.json`, `report.html`.

  Held by one coordinator at a time.

  Raises:
    SearchError: on entering, if another process holds it or it cannot be written.
  """

  def __init__(self, path: str):
    """Takes the path; creates and locks nothing yet."""
    self.path = os.path.abspath(path)
    self.store = os.path.join(self.path, 'search.sqlite')
    self.trials = os.path.join(self.path, 'trials.jsonl')
    self.best = os.path.join(self.path, 'best.json')
    self.best_config = os.path.join(self.path, 'best.yaml')
    self.pareto = os.path.join(self.path, 'pareto')  # Configurations; pareto.json lists them.
    self.report = os.path.join(self.path, 'report.html')
    self._lock = None

  def __enter__(self) -> 'SearchDirectory':
    with explained(self.path):
      os.makedirs(self.path, exist_ok=True)
      self._lock = open(os.path.join(self.path, '.lock'), 'w')
    try:
      fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
      self.is_locked = True
    except BlockingIOError as e:
      self._lock.close()
      raise SearchError(f'{self.path}: another process is running this search; stop it first, or wait.') from e
    except OSError:  # A file system without locks: the leases in the store are what there is to go by.
      self.is_locked = False
    return self

  def __exit__(self, *unused_error) -> None:
    self._lock.close()

  def work_dir(self, trial_id: int) -> str:
    """Returns the directory of one trial, with its log and checkpoints."""
    return os.path.join(self.path, 'trials', f'{trial_id:06d}')

  def write(self, path: str, text: str) -> None:
    """Replaces a file by `text`: whoever reads it sees all of the old one or all of the new one."""
    with explained(path):
      whole_file.write_text(path, text)

  def append(self, path: str, text: str) -> None:
    """Adds `text` to a file."""
    with explained(path), open(path, 'a', encoding='utf-8') as f:
      f.write(text)
