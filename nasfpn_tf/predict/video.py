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

"""Annotates videos and camera streams, and writes a JSON line per frame."""

import contextlib
import os
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from absl import logging

from nasfpn_tf.data import progress
from nasfpn_tf.predict import drawing, inputs, results, stopping
from nasfpn_tf.predict.files import to_json
from nasfpn_tf.predict.predictor import Predictor

# Otherwise FFmpeg and OpenCV print what they think of a file.
os.environ.setdefault('OPENCV_LOG_LEVEL', 'SILENT')
os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', '-8')

_CODEC = 'mp4v'  # In every build of OpenCV.
_MEASURED = 8  # A camera's video plays as fast as so many frames were predicted.
_DEFAULT_RATE = 25.0
_HIGHEST_RATE = 240.0
_FEWEST = 0.9  # Of the frames that a file claims to have: some formats only estimate it.


def predict_video(
  predictor: Predictor,
  reference: str,
  output_dir: str,
  score_threshold: float = 0.3,
  target: str | None = None,
  max_frames: int | None = None,
) -> int:
  """Writes an annotated .mp4, and beside it a .jsonl with a line a frame, which is complete after every frame.

  A line is `{"frame", "time_s", "width", "height", "detections"}`, the time from the start of the video.

  Args:
    predictor: the detector; `Deadline` or `AtExit` of an anytime detector, too.
    reference: a video file, or `camera:0` for the first camera, which runs until it is stopped.
    output_dir: where to; made where it does not exist. What an earlier call wrote there is replaced, nothing else.
    score_threshold: least score of a detection that is kept.
    target: path of the .mp4; None: in `output_dir` by the name of the video.
    max_frames: stop after so many; None: at the end.

  Returns:
    How many frames were predicted.

  Raises:
    ValueError: the video cannot be read or written, or a file of someone else's is in the way.
    OSError: a result cannot be written; the message says how many frames are done.
    Stopped: Ctrl-C or SIGTERM; the message says how many frames are done.
  """
  target = target or results.name_targets([reference], output_dir, '.mp4')[reference]
  lines = os.path.splitext(target)[0] + '.jsonl'
  for path in (target, lines):
    results.check_replaceable(path)
  with contextlib.closing(_Reader(reference)) as reader:
    os.makedirs(output_dir, exist_ok=True)
    total = max_frames if max_frames and not (reader.total and reader.total < max_frames) else reader.total
    count = 0
    try:
      with results.ResultFile(lines, lines=True) as file, _Writer(target, reader.rate) as writer:
        for seconds, frame in progress.track(reader.frames(max_frames), total, f'predict: frames of {reference}'):
          found = predictor(frame).above(score_threshold)
          annotated = drawing.annotate(frame, found.boxes, found.classes, found.captions(), found.scores)
          size = {'width': frame.shape[1], 'height': frame.shape[0]}
          with stopping.hold():
            file.add({'frame': count, 'time_s': round(seconds, 4), **size, **to_json(predictor, found)})
            count = file.count
            writer.write(np.asarray(annotated))
    except KeyboardInterrupt as error:
      done = f'{count} of {total}' if total else f'{count}'
      raise stopping.Stopped(f'{done} frames of {reference} are done, see {target} and {lines}.') from error
    except OSError as error:
      reason = error.strerror or type(error).__name__
      raise OSError(
        f'{error.filename or output_dir}: cannot be written: {reason}. {count} frames of {reference} are done, see'
        f' {lines}; make room or choose another output_dir.'
      ) from error
  if not count:
    raise ValueError(f'{reference}: no frame can be read: it is damaged, or has a codec that OpenCV does not support.')
  if total and count < _FEWEST * total:
    logging.warning('%s: ends after %d of %d frames: it is cut off or damaged; copy it again.', reference, count, total)
  return count


class _Reader:
  """Frames of a video file or a camera.

  Attributes:
    rate: frames a second; None: a camera that does not say.
    total: frames of a file, as far as it says; None: unknown.
  """

  def __init__(self, reference: str):
    import cv2  # Only videos need it, and it takes a while to load.

    # The variables above are late where another package has loaded OpenCV.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    camera = inputs.CAMERA.fullmatch(reference)
    self._is_camera = bool(camera)
    self._capture = cv2.VideoCapture(int(camera[1]) if camera else os.path.expanduser(reference))
    if not self._capture.isOpened():
      if camera:
        raise ValueError(
          f'{reference}: there is no such camera, or another program uses it; camera:0 is the first one.'
        )
      if not os.path.exists(os.path.expanduser(reference)):
        raise ValueError(f'{reference}: there is no such file.')
      raise ValueError(
        f'{reference}: OpenCV cannot read it: it is damaged, or has a codec that OpenCV does not support.'
      )
    rate, total = self._capture.get(cv2.CAP_PROP_FPS), int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
    self.total = total if total > 0 and not camera else None
    self.rate = None if camera else rate if 0 < rate <= _HIGHEST_RATE else _DEFAULT_RATE

  def frames(self, max_frames: int | None) -> Iterator[tuple[float, np.ndarray]]:
    """Yields (seconds from the start, uint8 RGB [height, width, 3])."""
    started, count = time.monotonic(), 0
    while max_frames is None or count < max_frames:
      is_read, frame = self._capture.read()
      if not is_read:
        return
      yield time.monotonic() - started if self._is_camera else count / self.rate, np.ascontiguousarray(frame[..., ::-1])
      count += 1

  def close(self) -> None:
    self._capture.release()


class _Writer(contextlib.AbstractContextManager):
  """An .mp4 that appears under its name when it is finished, also by an interruption.

  Raises:
    ValueError: it cannot be written whole.
  """

  def __init__(self, path: str, rate: float | None):
    self._path, self._rate = path, rate
    self._partial = os.path.join(os.path.dirname(path), '.partial.' + os.path.basename(path))
    self._waiting: list[np.ndarray] = []
    self._started = time.monotonic()
    self._count = 0
    self._writer: Any = None

  def write(self, frame: np.ndarray) -> None:
    self._waiting.append(frame)
    if self._rate or len(self._waiting) >= _MEASURED:
      self._flush()

  def __exit__(self, kind, *unused_error) -> None:
    import cv2

    if self._waiting:
      self._flush()
    if self._writer is None:
      return
    self._writer.release()
    written = cv2.VideoCapture(self._partial)
    count = int(written.get(cv2.CAP_PROP_FRAME_COUNT)) if written.isOpened() else 0
    written.release()
    if count >= self._count:
      os.replace(self._partial, self._path)
      return
    with contextlib.suppress(FileNotFoundError):
      os.remove(self._partial)
    if kind is None:
      raise ValueError(
        f'{self._path}: could not be written completely: is the disk full? The .jsonl beside it is complete.'
      )

  def _flush(self) -> None:
    import cv2

    if self._writer is None:
      measured = round(len(self._waiting) / max(time.monotonic() - self._started, 1e-3), 1)
      self._rate = self._rate or min(max(measured, 1.0), _HIGHEST_RATE)
      height, width = self._waiting[0].shape[:2]
      self._writer = cv2.VideoWriter(self._partial, cv2.VideoWriter_fourcc(*_CODEC), self._rate, (width, height))
      if not self._writer.isOpened():
        raise ValueError(f'{self._path}: OpenCV cannot write a video there.')
    for frame in self._waiting:
      self._writer.write(np.ascontiguousarray(frame[..., ::-1]))
    self._count += len(self._waiting)
    self._waiting.clear()
