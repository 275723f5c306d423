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

"""Tests of videos and cameras."""

import itertools
import json
import os

import cv2
import numpy as np
import pytest

from nasfpn_tf import predict
from nasfpn_tf.predict import stopping, video

FRAMES = 12


class Bright(predict.Predictor):
  """Finds the whole image where its red is above a half; `at` is called with the number of the frame."""

  def __init__(self, at=lambda number: None):
    super().__init__([{'label': 1, 'id': 1, 'name': 'red'}])
    self._at, self._number = at, 0

  def _detect(self, image):
    self._at(self._number)
    self._number += 1
    count = int(image[..., 0].mean() > 128)
    return np.array([[2, 3, 40, 60]] * count).reshape(-1, 4), np.full(count, 0.9), np.ones(count, int)


@pytest.fixture
def film(tmp_path):
  """Half of its frames are red; 10 a second."""
  path = str(tmp_path / 'film.avi')
  writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*'MJPG'), 10.0, (64, 48))
  for number in range(FRAMES):
    writer.write(np.full([48, 64, 3], (0, 0, 250 * (number % 2)), np.uint8))
  writer.release()
  return path


def _frames(path):
  capture = cv2.VideoCapture(str(path))
  found = []
  while True:
    is_read, frame = capture.read()
    if not is_read:
      return found
    found.append(frame[..., ::-1])


def _lines(path):
  return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_and_an_annotated_frame_for_every_frame(film, tmp_path):
  out = tmp_path / 'out'
  assert predict.predict_video(Bright(), film, str(out)) == FRAMES
  lines = _lines(out / 'film.jsonl')
  assert [line['frame'] for line in lines] == list(range(FRAMES))
  assert [line['time_s'] for line in lines] == [round(number / 10, 4) for number in range(FRAMES)]
  assert [len(line['detections']) for line in lines] == [0, 1] * (FRAMES // 2)
  assert lines[1]['detections'][0]['box'] == [3, 2, 57, 38] and (lines[1]['width'], lines[1]['height']) == (64, 48)
  frames = _frames(out / 'film.mp4')
  assert len(frames) == FRAMES and frames[1].mean() > frames[0].mean() + 20
  assert cv2.VideoCapture(str(out / 'film.mp4')).get(cv2.CAP_PROP_FPS) == 10
  assert sorted(os.listdir(out)) == ['film.jsonl', 'film.mp4']
  assert predict.predict_video(Bright(), film, str(out), max_frames=3) == 3  # Its own results are replaced.
  assert len(_lines(out / 'film.jsonl')) == len(_frames(out / 'film.mp4')) == 3


def test_ctrl_c_keeps_both(film, tmp_path):
  def at(number):
    if number == 5:
      raise KeyboardInterrupt

  with pytest.raises(stopping.Stopped, match=f'5 of {FRAMES} frames of .*film.avi are done'):
    predict.predict_video(Bright(at), film, str(tmp_path / 'out'))
  assert len(_lines(tmp_path / 'out' / 'film.jsonl')) == len(_frames(tmp_path / 'out' / 'film.mp4')) == 5


def test_a_camera_is_a_video_without_an_end(film, tmp_path, monkeypatch):
  asked = []
  opened = cv2.VideoCapture
  monkeypatch.setattr(
    cv2, 'VideoCapture', lambda source: asked.append(source) or opened(film if source == 3 else source)
  )
  assert predict.predict_video(Bright(), 'camera:3', str(tmp_path / 'out'), max_frames=10) == 10
  assert asked[0] == 3
  lines = _lines(tmp_path / 'out' / 'camera-3.jsonl')
  assert [line['time_s'] for line in lines] == sorted(line['time_s'] for line in lines)
  assert len(_frames(tmp_path / 'out' / 'camera-3.mp4')) == 10


def test_a_video_that_ends_too_early_is_told(film, tmp_path, caplog, monkeypatch):
  assert predict.predict_video(Bright(), film, str(tmp_path / 'whole')) == FRAMES and not caplog.text
  frames = video._Reader.frames
  monkeypatch.setattr(video._Reader, 'frames', lambda self, most: itertools.islice(frames(self, most), 5))
  assert predict.predict_video(Bright(), film, str(tmp_path / 'cut')) == 5
  assert f'film.avi: ends after 5 of {FRAMES} frames' in caplog.text
  assert len(_lines(tmp_path / 'cut' / 'film.jsonl')) == 5


def test_what_is_no_video(tmp_path, capfd):
  (tmp_path / 'x.mp4').write_bytes(b'no video')
  for reference, message in (
    (str(tmp_path / 'x.mp4'), r'x\.mp4: OpenCV cannot read it'),
    (str(tmp_path / 'gone.mp4'), r'gone\.mp4: there is no such file'),
    ('camera:97', r'camera:97: there is no such camera'),
  ):
    with pytest.raises(ValueError, match=message):
      predict.predict_video(Bright(), reference, str(tmp_path / 'out'))
  assert not (tmp_path / 'out').exists()
  assert 'WARN' not in capfd.readouterr().err  # OpenCV's own words about the camera.


@pytest.mark.parametrize('name', ['film.mp4', 'film.jsonl'])
def test_what_others_made_is_not_replaced(film, tmp_path, name):
  out = tmp_path / 'out'
  out.mkdir()
  (out / name).write_text('mine')
  with pytest.raises(ValueError, match=f'{name} exists and is not a result of predict'):
    predict.predict_video(Bright(), film, str(out))
  assert (out / name).read_text() == 'mine' and os.listdir(out) == [name]
