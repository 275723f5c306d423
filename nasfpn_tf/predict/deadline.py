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

"""Refines an anytime detector until its time is up."""

import collections
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from nasfpn_tf.predict.detections import Detections
from nasfpn_tf.predict.predictor import Predictor

_REMEMBERED = 20  # A step is expected to take as long as the slowest of this many last runs.
_WARM_UPS = 2  # The first run of a step traces or allocates; the second one shows what it takes.


class Deadline:
  """A predictor with a time limit: it returns the detections of the last exit that fits.

  The next pyramid runs only if it and its heads, as slow as their recent runs, would finish in time. Exit 1 always
  runs: if it takes longer than the limit, its detections come late.

  Safe to share between threads. The time a thread waits for another counts as its own.

  Example:
    predictor = Deadline(load_predictor('exported/anytime'), deadline_ms=40)
    found = predictor(image)
    print(found.exit_stage, len(found.boxes), predictor.summary())

  Attributes:
    labels: the predictor's.
    milliseconds: what each image has taken, from the decoded image to its boxes.
    reached: {exit: number of images}.
  """

  def __init__(self, predictor: Predictor, deadline_ms: float, clock: Callable[[], float] = time.perf_counter):
    """Times every step on a blank image.

    Args:
      predictor: an anytime detector in any form.
      deadline_ms: milliseconds from the decoded image to its boxes.
      clock: seconds.

    Raises:
      ValueError: the detector has no exits, or the limit is not positive.
    """
    if not deadline_ms > 0:
      raise ValueError(f'deadline_ms is {deadline_ms}; it must be a positive number of milliseconds.')
    if predictor.num_exits < 2:
      raise ValueError(
        'deadline_ms needs exits to stop at; this detector was trained without task.model.anytime.enabled.'
      )
    self._predictor = predictor
    self._deadline = deadline_ms / 1000
    self._clock = clock
    self._lock = threading.Lock()
    self._seconds = collections.defaultdict(lambda: collections.deque(maxlen=_REMEMBERED))
    self.labels = predictor.labels
    self.milliseconds: list[float] = []
    self.reached: collections.Counter[int] = collections.Counter()
    blank = np.zeros([64, 64, 3], np.uint8)
    for _ in range(_WARM_UPS):
      self._seconds.clear()
      self._run(blank, float('inf'))

  def __call__(self, image: np.ndarray) -> Detections:
    """Finds objects in one image; the result's `exit_stage` is the exit that was reached."""
    started = self._clock()
    found = self._run(image, started + self._deadline)
    with self._lock:
      self.milliseconds.append(1000 * (self._clock() - started))
      self.reached[found.exit_stage] += 1
    return found

  def label_of(self, label: int) -> Mapping[str, Any]:
    """See `Predictor`."""
    return self._predictor.label_of(label)

  def summary(self) -> str:
    """Summarizes in one line how many images reached each exit, and how many were late."""
    exits = ', '.join(f'{self.reached[k]} at exit {k}' for k in sorted(self.reached))
    late = sum(ms > 1000 * self._deadline for ms in self.milliseconds)
    slowest = f'slowest {max(self.milliseconds):.1f} ms, ' if self.milliseconds else ''
    reached = f'{exits} of {self._predictor.num_exits}' if exits else 'none'
    return f'images: {reached}; {slowest}{late} late'

  def _run(self, image: np.ndarray, deadline: float) -> Detections:
    state = self._predictor.begin(image)
    is_warm_up = deadline == float('inf')  # Then the heads of every exit are timed.
    while state.exit_stage < self._predictor.num_exits:
      following = state.exit_stage + 1
      if is_warm_up:
        self._timed(('detect', state.exit_stage), self._predictor.detect, state)
      elif self._clock() + self._expected('refine', following) + self._expected('detect', following) > deadline:
        break
      state = self._timed(('refine', following), self._predictor.refine, state)
    return self._timed(('detect', state.exit_stage), self._predictor.detect, state)

  def _timed(self, step, function, state):
    started = self._clock()
    result = function(state)
    with self._lock:
      self._seconds[step].append(self._clock() - started)
    return result

  def _expected(self, *step) -> float:
    with self._lock:
      return max(self._seconds[step])
