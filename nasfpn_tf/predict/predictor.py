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

"""Defines the interface of all predictors: an image in, detections out, at once or exit by exit."""

import abc
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nasfpn_tf.predict.detections import Detections


@dataclasses.dataclass(frozen=True)
class State:
  """State of an anytime detector on one image.

  Attributes:
    value: what the predictor keeps.
    exit_stage: number of pyramids that have run.
    image_size: height and width of the image.
    predictor: predictor that made the state.
  """

  value: Any
  exit_stage: int
  image_size: tuple[int, int]
  predictor: 'Predictor'


class Predictor(abc.ABC):
  """A detector in some format; call it with an image.

  Every predictor is safe to share between threads: a class says whether they run at once or wait for one another. A
  `State` belongs to no thread. Only a .tflite is safe to use in a process that was forked after it was loaded.

  Attributes:
    labels: {label: {'label', 'id', 'name'}}; empty where the model does not say what its classes mean.
    num_exits: exits of an anytime detector, for `begin`, `refine` and `detect`; 1 for any other.
  """

  num_exits = 1

  def __init__(self, labels: Sequence[Mapping[str, Any]]):
    """Takes `{label, id, name}` of every class."""
    self.labels = {int(entry['label']): dict(entry) for entry in labels}

  def __call__(self, image: np.ndarray) -> Detections:
    """Finds objects in one image, uint8 [height, width, 3], RGB, of any size.

    Raises:
      ValueError: it is no such array.
    """
    image = _checked(image)
    return self._detections(self._detect(image), image.shape[:2])

  def begin(self, image: np.ndarray) -> State:
    """Computes the state of an image at the first exit.

    Raises:
      ValueError: it is no image.
    """
    image = _checked(image)
    return State(self._begin(image), 1, image.shape[:2], self)

  def refine(self, state: State) -> State:
    """Runs one more pyramid; returns the new state.

    Raises:
      ValueError: all have run, or the state is of another predictor.
    """
    self._check_state(state)
    if state.exit_stage >= self.num_exits:
      raise ValueError(f'The state is at the last exit, {self.num_exits}: there is no further pyramid to refine it.')
    value = self._refine(state.value, state.exit_stage + 1)
    return dataclasses.replace(state, value=value, exit_stage=state.exit_stage + 1)

  def detect(self, state: State) -> Detections:
    """Returns the detections at the exit of `state`; a ValueError if another predictor made the state."""
    self._check_state(state)
    found = self._detections(self._finish(state.value, state.exit_stage), state.image_size)
    return dataclasses.replace(found, exit_stage=state.exit_stage)

  def label_of(self, label: int) -> Mapping[str, Any]:
    """Returns `label`, category `id` and `name` of a label; the number stands in for what is unknown."""
    return self.labels.get(int(label), {'label': int(label), 'id': int(label), 'name': str(label)})

  def _check_state(self, state: State) -> None:
    if state.predictor is not self:
      raise ValueError('The state belongs to another predictor; call refine and detect of the one that created it.')

  def _detections(self, found: tuple[np.ndarray, np.ndarray, np.ndarray], size: Sequence[int]) -> Detections:
    boxes, scores, classes = (np.asarray(value) for value in found)
    boxes = np.clip(boxes, 0.0, np.tile(size, 2)).astype(np.float32)
    # What lies in the padding of the letterbox, below or right of the image, has no area now: it is no detection.
    keep = np.all(boxes[:, 2:] > boxes[:, :2], axis=1)
    boxes, scores, classes = boxes[keep], scores[keep], classes[keep].astype(np.int32)
    return Detections(boxes, scores.astype(np.float32), classes, tuple(self.label_of(k)['name'] for k in classes))

  @abc.abstractmethod
  def _detect(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns boxes [n, 4] (yxyx in pixels of the image), scores [n] and labels [n]."""

  # A predictor with exits overrides these; with one exit the last step does all the work.
  def _begin(self, image: np.ndarray) -> Any:
    """Returns the value of the state of an image at exit 1."""
    return image

  def _refine(self, value: Any, exit_stage: int) -> Any:
    """Returns the value of the state at `exit_stage` from that at the exit before."""
    del exit_stage
    return value

  def _finish(self, value: Any, exit_stage: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the result of `_detect` from the value of the state at `exit_stage`."""
    del exit_stage
    return self._detect(value)


def to_image(boxes: np.ndarray, image_info: np.ndarray) -> np.ndarray:
  """Converts boxes [n, 4] (yxyx) from pixels of the network's input to pixels of the image.

  Args:
    boxes: in pixels of the network's input.
    image_info: float32 [4, 2], how the image was letterboxed, see `preprocess.geometry`.
  """
  return (boxes + np.tile(image_info[3], 2)) / np.tile(image_info[2], 2)


def _checked(image: np.ndarray) -> np.ndarray:
  image = np.asarray(image)
  if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
    raise ValueError(f'An image must be uint8 [height, width, 3], not {image.dtype} {list(image.shape)}.')
  return image
