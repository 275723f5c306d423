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

"""Tests that nothing found is lost and nothing that others made is replaced."""

import concurrent.futures
import contextlib
import json
import os
import pathlib
import resource
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
from PIL import Image

from nasfpn_tf import predict
from nasfpn_tf.predict import results, stopping
from tests import testing


class Nothing(predict.Predictor):
  """Finds one object in every image; `at` is called with the number of the image before."""

  def __init__(self, at=lambda number: None):
    super().__init__([{'label': 1, 'id': 1, 'name': 'thing'}])
    self._at, self._number = at, 0

  def _detect(self, image):
    self._at(self._number)
    self._number += 1
    return np.array([[1, 2, 9, 8]]), np.array([0.9]), np.array([1])


@pytest.fixture
def paths(tmp_path):
  (tmp_path / 'in').mkdir()
  found = [tmp_path / 'in' / f'{number}.png' for number in range(5)]
  for path in found:
    Image.new('RGB', (12, 10), (200, 90, 30)).save(path)
  return [str(path) for path in found]


def _raise_at(place, error):
  def at(number):
    if number == place:
      raise error

  return at


def _entries(directory):
  return json.loads((pathlib.Path(directory) / 'detections.json').read_text())


@pytest.mark.parametrize('error', [KeyboardInterrupt(), stopping.Terminated(), RuntimeError('a fault of the model')])
def test_whatever_ends_it_keeps_what_was_found(paths, tmp_path, error):
  out = str(tmp_path / 'out')
  with pytest.raises(type(error) if isinstance(error, RuntimeError) else stopping.Stopped) as raised:
    predict.predict_files(Nothing(_raise_at(3, error)), paths, out)
  assert [entry['image'] for entry in _entries(out)] == paths[:3]
  assert sorted(os.listdir(out)) == ['0.jpg', '1.jpg', '2.jpg', 'detections.json']
  if isinstance(error, KeyboardInterrupt):
    assert str(raised.value) == f'3 of 5 images are done, see {out}/detections.json.'
    assert stopping.exit_code(raised.value) == (143 if isinstance(error, stopping.Terminated) else 130)


@pytest.fixture
def interruptible():
  """Ctrl-C as on a terminal; processes in the background ignore it."""
  before = signal.signal(signal.SIGINT, signal.default_int_handler)
  yield
  signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures('interruptible')
@pytest.mark.parametrize(('number', 'exit_code'), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_between_an_image_and_its_entry_waits_for_the_entry(paths, tmp_path, monkeypatch, number, exit_code):
  def save(image, path):
    saved(image, path)
    if path.endswith('2.jpg'):
      signal.raise_signal(number)

  saved = results.save_annotated
  monkeypatch.setattr(results, 'save_annotated', save)
  out = str(tmp_path / 'out')
  with pytest.raises(SystemExit) as ended, stopping.ends('predict'):
    predict.predict_files(Nothing(), paths, out)
  assert ended.value.code == exit_code
  assert [entry['image'] for entry in _entries(out)] == paths[:3]
  assert sorted(os.listdir(out)) == ['0.jpg', '1.jpg', '2.jpg', 'detections.json']


@pytest.mark.usefixtures('interruptible')
def test_signals_are_held_in_the_main_thread_only():
  with stopping.hold(), concurrent.futures.ThreadPoolExecutor(1) as pool:
    assert pool.submit(_hold).result() == 'held'
  assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def _hold():
  with stopping.hold():
    return 'held'


def test_it_is_complete_after_every_image(paths, tmp_path):
  counts = []
  out = tmp_path / 'out'
  predict.predict_files(Nothing(lambda number: number and counts.append(len(_entries(out)))), paths, str(out))
  assert counts == [1, 2, 3, 4] and len(_entries(out)) == 5


def test_a_run_without_a_result_leaves_the_earlier_one(paths, tmp_path):
  out = str(tmp_path / 'out')
  predict.predict_files(Nothing(), paths, out)
  before = _entries(out)
  with pytest.raises(stopping.Stopped, match=r'^0 of 5'):
    predict.predict_files(Nothing(_raise_at(0, KeyboardInterrupt())), paths, out)
  assert _entries(out) == before
  assert not [name for name in os.listdir(out) if 'partial' in name]
  assert predict.predict_files(Nothing(), [paths[0] + '.absent'], out).failures
  assert _entries(out) == []


@contextlib.contextmanager
def _largest_file(size):
  """No file may grow beyond `size` bytes: what a full disk is to a program."""
  before = resource.getrlimit(resource.RLIMIT_FSIZE)
  resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
  try:
    yield
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize('room', [100, 1100])
def test_a_full_disk_is_told_and_loses_nothing(paths, tmp_path, room):
  out = str(tmp_path / 'out')
  with (
    _largest_file(room),
    pytest.raises(OSError, match=r'cannot be written: File too large\. \d of 5 images') as raised,
  ):
    predict.predict_files(Nothing(), paths, out)
  if room == 100:  # Not even an annotated image.
    assert '0 of 5 images are done' in str(raised.value)
    assert os.listdir(out) == []
  else:
    assert 0 < len(_entries(out)) < 5
    assert f'{len(_entries(out))} of 5 images are done' in str(raised.value)


@pytest.mark.parametrize('name', ['detections.json', '0.jpg'])
@pytest.mark.parametrize('content', [b'[{"image_id": 1, "bbox": [0, 0, 1, 1]}]', b'a note', None])
def test_what_others_made_is_not_replaced(paths, tmp_path, name, content):
  out = tmp_path / 'out'
  out.mkdir()
  if content is None:
    Image.new('RGB', (5, 5)).save(out / name, 'JPEG')
  else:
    (out / name).write_bytes(content)
  before = (out / name).read_bytes()
  with pytest.raises(ValueError, match=rf'{name} exists and is not a result of predict\.py.*choose another output_dir'):
    predict.predict_files(Nothing(), paths, str(out))
  assert (out / name).read_bytes() == before and os.listdir(out) == [name]


def test_an_image_too_large_to_open_is_of_others(paths, tmp_path, monkeypatch):
  out = tmp_path / 'out'
  out.mkdir()
  Image.new('RGB', (500, 500)).save(out / '0.jpg', 'JPEG')
  monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 1000)
  with pytest.raises(ValueError, match=r'0\.jpg exists and is not a result of predict\.py'):
    predict.predict_files(Nothing(), paths, str(out))


def test_what_it_made_is_replaced(paths, tmp_path):
  out = str(tmp_path / 'out')
  for expected in (5, 2):
    assert predict.predict_files(Nothing(), paths[:expected], out).num_done == expected
    assert len(_entries(out)) == expected


def test_links_to_others_files_are_not_followed(paths, tmp_path):
  mine = tmp_path / 'mine.jpg'
  Image.new('RGB', (5, 5)).save(mine)
  (tmp_path / 'out').mkdir()
  (tmp_path / 'out' / '0.jpg').symlink_to(mine)
  with pytest.raises(ValueError, match=r'0\.jpg exists'):
    predict.predict_files(Nothing(), paths, str(tmp_path / 'out'))


@pytest.mark.parametrize('output_dir', ['in', 'in/../in', 'link'])
def test_the_directory_of_the_images_stays_as_it_is(paths, tmp_path, output_dir):
  (tmp_path / 'link').symlink_to(tmp_path / 'in')
  with pytest.raises(ValueError, match='choose an output_dir without images'):
    predict.predict_files(Nothing(), paths, str(tmp_path / output_dir))
  assert sorted(os.listdir(tmp_path / 'in')) == [f'{number}.png' for number in range(5)]


def test_an_output_dir_that_is_a_file(paths, tmp_path):
  (tmp_path / 'out').write_text('mine')
  with pytest.raises(ValueError, match='out: is a file; output_dir must be a directory'):
    predict.predict_files(Nothing(), paths, str(tmp_path / 'out'))


def test_same_names_are_numbered_and_told_apart(tmp_path):
  paths = []
  for name in ('a/x.png', 'a/x.jpg', 'b/X.png', 'b/x-2.png'):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    Image.new('RGB', (12, 10)).save(tmp_path / name)
    paths.append(str(tmp_path / name))
  predict.predict_files(Nothing(), paths, str(tmp_path / 'out'))
  annotated = [entry['annotated'] for entry in _entries(tmp_path / 'out')]
  assert annotated == ['x.jpg', 'x-2.jpg', 'X-3.jpg', 'x-2-2.jpg']
  assert set(annotated) < set(os.listdir(tmp_path / 'out'))


def test_kill_leaves_every_finished_line(tmp_path):
  """A real process and a real SIGKILL, while it writes: Linux may cut the write that is under way, and no other."""
  code = textwrap.dedent(f"""
    from nasfpn_tf.predict import results
    with results.ResultFile({str(tmp_path / 'detections.json')!r}) as file:
      for number in range(10**9):
        file.add({{'number': number, 'text': 'x' * 2000}})
  """)
  child = subprocess.Popen([sys.executable, '-c', code], cwd=testing.repo_root())
  path = tmp_path / 'detections.json'
  deadline = time.monotonic() + 120
  while not (path.exists() and path.stat().st_size > 100_000):
    assert time.monotonic() < deadline and child.poll() is None
    time.sleep(0.01)
  child.send_signal(signal.SIGKILL)
  child.wait()
  lines = path.read_text().splitlines()[1:-1]  # Without '[', and without ']' or a line that was cut.
  numbers = [json.loads(line.rstrip(','))['number'] for line in lines]
  assert numbers == list(range(len(numbers))) and len(numbers) > 40


def test_json_lines(tmp_path):
  path = tmp_path / 'x.jsonl'
  with results.ResultFile(str(path), lines=True) as file:
    for number in range(3):
      file.add({'frame': number, 'detections': []})
      assert len(path.read_text().splitlines()) == number + 1
  results.check_replaceable(str(path))
