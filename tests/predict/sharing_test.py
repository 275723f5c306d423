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

"""One predictor in many threads, and in a forked process."""

import concurrent.futures
import multiprocessing

import numpy as np
import pytest

from nasfpn_tf import predict

_THREADS = 8
_IMAGES = 240


@pytest.fixture(scope='module')
def images(forms):
  """Photographs of the records, cut and tinted at random: each has other boxes."""
  rng = np.random.default_rng(5)
  pictures = [predict.read_image(str(path)) for path in sorted(forms.images.iterdir())]
  found = []
  for number in range(_IMAGES):
    picture = pictures[number % len(pictures)]
    height, width = (int(rng.integers(side // 2, side + 1)) for side in picture.shape[:2])
    found.append(np.repeat(np.clip(picture[:height, :width], number // 12, 255), rng.integers(1, 4), axis=1))
  return found


@pytest.mark.parametrize('name', ['float', 'raw', 'post_process', 'int8', 'saved_model', 'checkpoint'])
def test_threads_get_the_boxes_of_their_own_images(forms, images, name):
  path = {'saved_model': forms.saved_model, 'checkpoint': forms.model_dir}.get(name) or forms.tflite(name)
  predictor = predict.load_predictor(path)
  _compare(predictor, images)


@pytest.mark.slow
@pytest.mark.parametrize('name', ['float', 'raw'])
def test_two_thousand_images(forms, images, name):
  predictor = predict.load_predictor(forms.tflite(name))
  _compare(predictor, [np.roll(image, 7 * number, axis=1) for number in range(9) for image in images][:2000])


def _compare(predictor, images):
  # First in threads: the first call of a format may be another than the following ones.
  with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
    together = list(pool.map(predictor, images))
  alone = [predictor(image) for image in images]
  assert sum(len(found.scores) for found in alone) > len(images)
  for expected, found in zip(alone, together, strict=True):
    assert found.names == expected.names
    np.testing.assert_allclose(found.boxes, expected.boxes, rtol=0, atol=1e-3)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=0, atol=1e-5)


def _predict(predictor, image, pipe):
  pipe.send(predictor(image))


@pytest.mark.parametrize('name', ['float', 'raw'])
@pytest.mark.parametrize('is_loaded_before', [True, False])
def test_a_forked_process_predicts(forms, images, name, is_loaded_before):
  """TensorFlow has run in this process, so its threads are missing in the child; so are the interpreter's."""
  predictor = predict.load_predictor(forms.tflite(name))
  expected = predictor(images[0])
  found = _in_child(predictor if is_loaded_before else _Late(forms.tflite(name)), images[0])
  np.testing.assert_array_equal(found.boxes, expected.boxes)
  np.testing.assert_array_equal(predictor(images[0]).boxes, expected.boxes)  # And the parent goes on.


class _Late:
  """A predictor that is loaded where it is called."""

  def __init__(self, path):
    self._path = path

  def __call__(self, image):
    return predict.load_predictor(self._path)(image)


def _in_child(predictor, image):
  context = multiprocessing.get_context('fork')
  receiver, sender = context.Pipe(duplex=False)
  child = context.Process(target=_predict, args=(predictor, image, sender))
  child.start()
  try:
    assert receiver.poll(60), 'the child hangs'
    return receiver.recv()
  finally:
    child.kill()
    child.join()
