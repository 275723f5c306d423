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

"""Tests of predict.py as a user runs it."""

import json
import shutil
import signal
import subprocess
import sys
import time

from PIL import Image

from tests import commands, testing


def _run(*flags):
  return commands.run('predict.py', *flags)


def test_images_of_which_one_is_broken(forms, tmp_path):
  images = tmp_path / 'my images'
  images.mkdir()
  for name in ('0.jpg', '1.jpg'):
    shutil.copy(forms.images / name, images)
  (images / 'broken.jpg').write_bytes(b'\xff\xd8\xff\xe0 broken')
  result = _run(
    f'--model={forms.tflite("float")}',
    '--images',
    images / '*.jpg',
    f'--output_dir={tmp_path}/out',
    '--score_threshold=0',
  )
  assert result.returncode == 1
  assert f'2 images: {tmp_path}/out' in result.stdout
  assert '1 of 3 inputs could not be read' in result.stderr
  assert f'{images}/broken.jpg: not an image' in result.stderr
  assert 'Traceback' not in result.stderr
  results = json.loads((tmp_path / 'out' / 'detections.json').read_text())
  assert [entry['image'] for entry in results] == [str(images / '0.jpg'), str(images / '1.jpg')]
  assert all(entry['detections'] for entry in results)
  assert (tmp_path / 'out' / '1.jpg').exists()


def test_no_images(tmp_path):
  result = _run('--model=absent', '--images=absent/*.jpg', f'--output_dir={tmp_path}/out')
  assert result.returncode == 1
  assert 'predict: absent/*.jpg: no image' in result.stderr
  assert 'Traceback' not in result.stderr
  assert not (tmp_path / 'out').exists()


def test_a_tflite_of_another_tool(tmp_path):
  (tmp_path / 'x.tflite').write_bytes(b'TFL3')
  Image.new('RGB', (8, 8)).save(tmp_path / 'x.png')
  result = _run(f'--model={tmp_path}/x.tflite', f'--images={tmp_path}/x.png', f'--output_dir={tmp_path}/out')
  assert result.returncode == 1
  assert f'predict: {tmp_path}/x.json is missing. It describes {tmp_path}/x.tflite: export_tflite.py' in result.stderr
  assert 'Traceback' not in result.stderr
  assert not (tmp_path / 'out').exists()


def test_ctrl_c_keeps_what_was_found(forms, tmp_path):
  (tmp_path / 'in').mkdir()
  for number in range(2000):
    (tmp_path / 'in' / f'{number:04}.jpg').symlink_to(forms.images / '0.jpg')
  command = [sys.executable, str(testing.repo_root() / 'scripts' / 'predict.py'), f'--model={forms.tflite("float")}']
  command += [f'--images={tmp_path}/in', f'--output_dir={tmp_path}/out']
  child = subprocess.Popen(
    command,
    stderr=subprocess.PIPE,
    text=True,
    # Where the tests run in the background, Ctrl-C is ignored, and children inherit that.
    preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
  )
  results = tmp_path / 'out' / 'detections.json'
  deadline = time.monotonic() + 120
  while not any((tmp_path / 'out').glob('*.jpg')):
    assert time.monotonic() < deadline and child.poll() is None
    time.sleep(0.02)
  child.send_signal(signal.SIGINT)
  errors = child.communicate(timeout=60)[1]
  count = len(json.loads(results.read_text()))
  assert child.returncode == 130, errors
  assert f'predict: stopped: {count} of 2000 images are done, see {results}.' in errors
  assert 0 < count < 2000 and len(list((tmp_path / 'out').glob('*.jpg'))) == count
  assert 'Traceback' not in errors
