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

"""Shows the progress of training and evaluation: a bar on a terminal, a line per loop elsewhere."""

import math
import sys
import time
from typing import Any, TextIO

import tqdm


class TrainProgress:
  """An orbit train action that shows step, loss, learning rate, images/s and the time that is left.

  The time left is taken from the clock since the first loop, evaluations and checkpoints included; the first loop
  itself, which also traces the graph, does not count.
  """

  def __init__(self, total_steps: int, start_step: int = 0, stream: TextIO | None = None):
    """Starts at `start_step`; a bar appears if `stream` (standard error) is a terminal."""
    self._total = total_steps
    self._step = start_step
    self._stream = stream or sys.stderr
    self._bar = None
    if self._stream.isatty():
      self._bar = tqdm.tqdm(
        total=total_steps, initial=start_step, unit='step', desc='train', file=self._stream, dynamic_ncols=True
      )
    self._clock_start: tuple[float, int] | None = None

  def __call__(self, output: dict[str, Any]) -> None:
    """Shows the output of one loop: `step`, `training_loss`, `learning_rate`, `images_per_second`."""
    step = int(output['step'])
    loss, rate = float(output['training_loss']), float(output['learning_rate'])
    speed = float(output['images_per_second'])
    if self._bar is not None:
      self._bar.set_postfix_str(f'loss {loss:.4f}, lr {rate:.2e}, {speed:.1f} images/s', refresh=False)
      self._bar.update(step - self._step)
    else:
      self._stream.write(
        f'train {step}/{self._total}  loss {loss:.4f}  lr {rate:.2e}  {speed:.1f} images/s  left {self._left(step)}\n'
      )
      self._stream.flush()
    if self._clock_start is None:
      self._clock_start = (time.monotonic(), step)
    self._step = step

  def close(self) -> None:
    """Ends the bar."""
    if self._bar is not None:
      self._bar.close()

  def _left(self, step: int) -> str:
    if self._clock_start is None or step == self._clock_start[1]:
      return '?'
    started, first = self._clock_start
    return duration((time.monotonic() - started) / (step - first) * (self._total - step))


class EvalProgress:
  """Counts the images of one evaluation after another."""

  def __init__(self, total_images: int | None = None, stream: TextIO | None = None):
    """Shows a bar if `stream` (standard error) is a terminal, and nothing else until the end."""
    self._total = total_images
    self._stream = stream or sys.stderr
    self._bar = None
    self._count = 0
    self._started = time.monotonic()

  def start(self) -> None:
    """Begins an evaluation."""
    self._count = 0
    self._started = time.monotonic()
    if self._stream.isatty():
      self._bar = tqdm.tqdm(
        total=self._total, unit='image', desc='evaluate', file=self._stream, dynamic_ncols=True, leave=False
      )

  def update(self, num_images: int) -> None:
    """Counts finished images."""
    self._count += num_images
    if self._bar is not None:
      self._bar.update(num_images)

  def finish(self, metrics: dict[str, Any], step: int) -> None:
    """Ends the evaluation with one line of its result."""
    if self._bar is not None:
      self._bar.close()
      self._bar = None
    values = '  '.join(f'{name} {float(metrics[name]):.3f}' for name in ('AP', 'AP50', 'AP75') if name in metrics)
    seconds = time.monotonic() - self._started
    # tqdm's write goes around a bar of training that is on the screen.
    tqdm.tqdm.write(f'eval at step {step}  {values}  ({self._count} images in {duration(seconds)})', file=self._stream)
    self._stream.flush()


def duration(seconds: float) -> str:
  """Formats `seconds` as 45s, 12m05s or 3h20m."""
  if not math.isfinite(seconds):
    return '?'
  seconds = max(0, round(seconds))
  if seconds < 60:
    return f'{seconds}s'
  if seconds < 3600:
    return f'{seconds // 60}m{seconds % 60:02d}s'
  return f'{seconds // 3600}h{seconds % 3600 // 60:02d}m'
