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

"""Tests of `nasfpn_tf.load`: one detector for files, arrays and PIL images."""

import concurrent.futures
import pathlib
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

import nasfpn_tf
from nasfpn_tf import predict
from nasfpn_tf.predict import shipped
from tests import testing


class Corner(predict.Predictor):
  """Finds the top left quarter of any image, and with little certainty the bottom right one."""

  def __init__(self):
    super().__init__([{'label': 1, 'id': 40, 'name': 'top'}])
    self.seen = []

  def _detect(self, image):
    self.seen.append(image)
    height, width = image.shape[:2]
    boxes = np.array([[0, 0, height / 2, width / 2], [height / 2, width / 2, height, width]])
    return boxes, np.array([0.9, 0.2]), np.array([1, 2])


@pytest.fixture
def detector():
  return predict.Detector(Corner())


@pytest.fixture
def pixels():
  return np.random.default_rng(1).integers(0, 256, (20, 30, 3), np.uint8)


def _same(found, expected):
  np.testing.assert_array_equal(found.boxes, expected.boxes)
  np.testing.assert_array_equal(found.scores, expected.scores)
  assert found.names == expected.names


@pytest.mark.parametrize('form', ['model_dir', 'saved_model', 'float'])
def test_every_form_of_a_detector_and_of_an_image(forms, form):
  path = forms.tflite('float') if form == 'float' else getattr(forms, form)
  detector = nasfpn_tf.load(pathlib.Path(path))
  file = forms.images / '0.jpg'
  expected = predict.load_predictor(path)(predict.read_image(file))
  found = detector(str(file))
  _same(found, expected.above(0.3))
  assert 0 < len(found) == len(found.boxes) == len(found.scores) == len(found.classes) == len(found.names)
  _same(detector(predict.read_image(file), score_threshold=0.0), expected)
  several = detector([file, str(forms.images / '1.jpg'), Image.open(file)])
  _same(several[0], found)
  # Pillow's decoder rounds some pixels of a JPEG differently, so its pixels are what is compared.
  assert len(several) == 3
  _same(several[2], detector(np.asarray(Image.open(file))))


def test_boxes_are_yxyx_in_pixels_of_the_original(detector, pixels):
  found = detector(pixels)
  np.testing.assert_array_equal(found.boxes, [[0, 0, 10, 15]])
  assert found.names == ('top',) and list(found.classes) == [1]
  assert len(detector(pixels, score_threshold=0)) == 2
  assert len(detector(pixels, score_threshold=0.95)) == 0


def test_arrays_of_every_layout(detector, pixels):
  grey = pixels[..., 0]
  seen = detector.predictor.seen
  detector([pixels, grey, grey[..., np.newaxis], np.dstack([pixels, grey]), pixels[:, ::-1]])
  for image, expected in zip(seen, [pixels, *[np.dstack([grey] * 3)] * 2, pixels, pixels[:, ::-1]], strict=True):
    np.testing.assert_array_equal(image, expected)
  assert len(detector(np.stack([pixels, pixels]))) == 2
  assert detector([]) == []


def test_pil_images_are_read_as_files_are(detector, pixels, tmp_path):
  image = Image.fromarray(pixels)
  exif = Image.Exif()
  exif[0x0112] = 6
  image.save(tmp_path / 'turned.png', exif=exif)
  rgba, deep = image.copy(), Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)
  rgba.putalpha(7)
  detector([image, rgba, image.convert('L'), image.quantize(4), image.convert('CMYK'), deep])
  seen = detector.predictor.seen
  np.testing.assert_array_equal(seen[1], pixels)
  np.testing.assert_array_equal(seen[5], np.dstack([pixels[..., 0]] * 3))
  assert {image.shape for image in seen} == {(20, 30, 3)}
  with Image.open(tmp_path / 'turned.png') as opened:
    detector(opened)
  np.testing.assert_array_equal(seen[-1], np.rot90(pixels, -1))


def test_plot_draws_on_what_was_given(detector, pixels, tmp_path):
  file = tmp_path / 'x.png'
  Image.fromarray(pixels).save(file)
  plots = [found.plot() for found in detector([file, pixels, Image.fromarray(pixels)])]
  assert all(plot.size == (30, 20) and plot.mode == 'RGB' for plot in plots)
  assert all(np.asarray(plot).tobytes() == np.asarray(plots[0]).tobytes() for plot in plots)
  assert (np.asarray(plots[0]) != pixels).any()
  with pytest.raises(ValueError, match='pass plot'):
    detector.predictor(pixels).plot()
  assert detector.predictor(pixels).plot(pixels).size == (30, 20)


@pytest.mark.parametrize(
  ('given', 'message'),
  [
    ('absent.jpg', r'absent\.jpg: cannot be read: No such file'),
    ('https://example.com/a.jpg', r'https://example\.com/a\.jpg: is a URL.*download it first'),
    ('a\0b.jpg', 'cannot be read'),
    (b'bytes', 'is no image: give a path'),
    (None, 'is no image: give a path'),
    (7, 'a int is no image'),
    (np.zeros([4, 4, 3]), r'uint8 with values from 0 to 255, not float64'),
    (np.zeros([4, 4, 2], np.uint8), r'uint8 \[4, 4, 2\] is no image'),
    (np.zeros([0, 4, 3], np.uint8), r'uint8 \[0, 4, 3\] is no image'),
    (np.zeros([3, 4, 4], np.float32), 'not float32'),
  ],
)
def test_what_is_no_image(detector, given, message):
  with pytest.raises(ValueError, match=message):
    detector(given)
  with pytest.raises(ValueError, match=f'image 1 of the list: .*{message}'):
    detector([np.zeros([4, 4], np.uint8), given])


def test_a_broken_file_is_named(detector, tmp_path):
  (tmp_path / 'x.jpg').write_bytes(b'\xff\xd8\xff\xe0 broken')
  with pytest.raises(ValueError, match=r'x\.jpg: not an image') as raised:
    detector(tmp_path / 'x.jpg')
  assert 'BytesIO' not in str(raised.value)


@pytest.mark.parametrize('threshold', [-0.1, 30, float('nan')])
def test_thresholds_are_scores(detector, pixels, threshold):
  with pytest.raises(ValueError, match='must be from 0 to 1'):
    detector(pixels, score_threshold=threshold)
  with pytest.raises(ValueError, match='must be from 0 to 1'):
    nasfpn_tf.load('absent', score_threshold=threshold)


@pytest.mark.parametrize('name', ['float', 'saved_model', 'model_dir'])
def test_threads_share_a_detector(forms, name):
  detector = nasfpn_tf.load(forms.tflite(name) if name == 'float' else getattr(forms, name), score_threshold=0.05)
  files = sorted(forms.images.iterdir()) * 8
  with concurrent.futures.ThreadPoolExecutor(8) as pool:
    together = list(pool.map(detector, files))
  for file, found in zip(files, together, strict=True):
    expected = detector(file)
    assert found.names == expected.names and found.source == file
    np.testing.assert_allclose(found.boxes, expected.boxes, rtol=0, atol=1e-3)


def test_names_of_shipped_detectors(forms, monkeypatch, tmp_path):
  monkeypatch.setattr(shipped, 'DETECTORS', {'toy': forms.tflite('float')})
  monkeypatch.chdir(tmp_path)
  (tmp_path / 'toy').mkdir()
  assert nasfpn_tf.load('toy').labels[2]['name'] == 'blue'
  with pytest.raises(FileNotFoundError, match=r'^the path of the detector is empty; detectors by name: toy\.$'):
    nasfpn_tf.load('')
  with pytest.raises(TypeError, match=r'^a detector is loaded by its path or name, not from None; .* toy\.$'):
    nasfpn_tf.load(None)
  with pytest.raises(FileNotFoundError, match=r'^\./toy: neither .*; detectors by name: toy\.$'):
    nasfpn_tf.load('./toy')


def test_shipped_detectors_are_there():
  for name in shipped.DETECTORS:
    assert nasfpn_tf.load(name).labels, name


def test_exits_are_chosen_one_way(forms):
  for options, message in (
    ({'exit_stage': 1}, 'no exits'),
    ({'deadline_ms': 5}, 'needs exits'),
    ({'exit_stage': 1, 'deadline_ms': 5}, 'give only one'),
  ):
    with pytest.raises(ValueError, match=message):
      nasfpn_tf.load(forms.tflite('float'), **options)


def test_importing_the_package_is_fast():
  code = 'import sys, nasfpn_tf; assert not {"tensorflow", "numpy"} & set(sys.modules)'
  started = time.monotonic()
  subprocess.run([sys.executable, '-c', code], cwd=testing.repo_root(), check=True, timeout=60)
  assert time.monotonic() - started < 10
