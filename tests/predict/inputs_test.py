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

"""Tests of which files are images and videos, and what is said of others."""

import os

import pytest
from PIL import Image

from nasfpn_tf import predict
from nasfpn_tf.predict import reading


def _save(path, kind=None, **options):
  path.parent.mkdir(parents=True, exist_ok=True)
  Image.new('RGB', (12, 10), (90, 120, 60)).save(path, kind, **options)
  return str(path)


@pytest.fixture
def folder(tmp_path):
  """Images of every kind of name, what systems leave behind, and other files."""
  root = tmp_path / 'in'
  for name in ('a.jfif', 'b.JPE', 'c.avif', 'd.webp', 'e.bmp', 'f.gif', 'g.tif', 'h.png', 'i.mpo'):
    _save(root / name, 'MPO' if name == 'i.mpo' else None, **({'save_all': True} if name == 'i.mpo' else {}))
  _save(root / 'j', 'PNG')
  _save(root / 'k.download', 'JPEG')
  _save(root / 'sub' / 'l.jpg')
  for name in ('.DS_Store', '._h.png', 'Thumbs.db', 'desktop.ini', '__MACOSX/h.png', '.thumbnails/h.png'):
    (root / name).parent.mkdir(exist_ok=True)
    (root / name).write_bytes(b'\0\x05\x16\x07')
  (root / 'notes.md').write_text('# notes')
  (root / 'film.mp4').write_bytes(b'')
  return root


def _names(paths):
  return [os.path.basename(path) for path in paths]


def test_a_folder(folder):
  found = predict.find_inputs([str(folder)])
  assert _names(found.images) == [
    *('a.jfif', 'b.JPE', 'c.avif', 'd.webp', 'e.bmp', 'f.gif', 'g.tif', 'h.png', 'i.mpo', 'j', 'k.download')
  ]
  assert {os.path.basename(path): reason for path, reason in found.skipped.items()} == {
    'notes.md': 'no image',
    'film.mp4': 'a video: name it to read it',
  }
  for path in found.images:
    assert reading.read_image(path).shape == (10, 12, 3)


def test_sub_folders_by_flag_but_not_the_results(folder):
  out = folder / 'found'
  _save(out / 'h.jpg')
  found = predict.find_inputs([str(folder)], recursive=True, output_dir=str(out))
  assert _names(found.images)[-1] == 'l.jpg' and len(found.images) == 12
  assert found.skipped[str(out)] == 'the directory of the results'


@pytest.mark.parametrize('encoding, start', [('utf-8', ''), ('utf-8-sig', ''), ('utf-16', ''), ('utf-16-be', '\ufeff')])
@pytest.mark.parametrize('end', ['\n', '\r\n'])
def test_lists_are_relative_to_themselves_and_to_the_working_directory(tmp_path, monkeypatch, encoding, start, end):
  beside, here = _save(tmp_path / 'lists' / 'ä.png'), _save(tmp_path / 'work' / 'b.png')
  monkeypatch.chdir(tmp_path / 'work')
  (tmp_path / 'lists' / 'list.txt').write_bytes((start + end.join(['ä.png', '', ' b.png ', here, ''])).encode(encoding))
  found = predict.find_inputs([str(tmp_path / 'lists' / 'list.txt')])
  assert found.images == [beside, 'b.png', here] and not found.missing


def test_lines_that_lead_nowhere_are_named_and_the_others_read(tmp_path):
  path = _save(tmp_path / 'a.png')
  (tmp_path / 'l.TXT').write_text(f'a.png\ngone.png\nl.TXT\n{tmp_path}/*.png\nnone/*.png\n')
  found = predict.find_inputs([str(tmp_path / 'l.TXT')])
  assert found.images == [path]
  assert {line.split('l.TXT:', 1)[1]: reason for line, reason in found.missing.items()} == {
    '2: gone.png': 'no such file beside the list or in the working directory',
    '3: l.TXT': 'lists in lists are not read',
    '5: none/*.png': 'no such file beside the list or in the working directory',
  }
  with pytest.raises(FileNotFoundError, match=r'gone\.png'):
    predict.find_images([str(tmp_path / 'l.TXT')])


def test_lines_from_windows_and_addresses(tmp_path):
  _save(tmp_path / 'p' / 'a.png')
  (tmp_path / 'l.txt').write_text('p\\a.png\r\nhttps://example.com/b.jpg\r\n')
  found = predict.find_inputs([str(tmp_path / 'l.txt')])
  assert found.images == [str(tmp_path / 'p' / 'a.png')]
  ((where, reason),) = found.missing.items()
  assert where.endswith('l.txt:2: https://example.com/b.jpg') and reason.startswith('is a URL, and only local files')
  (tmp_path / 'l.txt').write_text('https://example.com/b.jpg\ngone.png\n')
  with pytest.raises(FileNotFoundError, match=r'l\.txt:1: .*give the path\. None of the 2 lines of the list'):
    predict.find_inputs([str(tmp_path / 'l.txt')])


def test_a_line_that_means_two_files(tmp_path, monkeypatch):
  _save(tmp_path / 'lists' / 'a.png')
  _save(tmp_path / 'a.png')
  (tmp_path / 'lists' / 'l.txt').write_text('a.png')
  monkeypatch.chdir(tmp_path)
  with pytest.raises(ValueError, match=r'l\.txt:1: a\.png is both .*lists/a\.png and .*give the full path'):
    predict.find_inputs(['lists/l.txt'])


@pytest.mark.parametrize(
  ('content', 'message'),
  [
    ('ä.png'.encode('latin-1'), r'l\.txt: neither UTF-8 nor UTF-16'),
    ('a.png'.encode('utf-16-le'), r'l\.txt: holds null characters.*save it as UTF-8'),
    (b'\n\n', r'l\.txt: it lists no images'),
    (b'gone.png', r'l\.txt:1: gone\.png: no such file'),
  ],
)
def test_lists_that_cannot_be_used(tmp_path, content, message):
  (tmp_path / 'l.txt').write_bytes(content)
  with pytest.raises((ValueError, FileNotFoundError), match=message):
    predict.find_inputs([str(tmp_path / 'l.txt')])


@pytest.mark.parametrize(
  ('reference', 'message'),
  [
    ('https://example.com/a.jpg', 'is a URL.*download it first'),
    ('rtsp://camera/stream', 'is a URL'),
    ('camera:front', 'is no camera: .* camera:0 is the first one'),
    ('gone.jpg', r'gone\.jpg: no image\. There is no such file or directory'),
    ('gone/*.jpg', r'No file matches'),
    ('camera:', 'is no camera'),
    ('', 'There is no such file'),
    ('a\0b', 'There is no such file'),
  ],
)
def test_what_cannot_be_told(reference, message):
  with pytest.raises((ValueError, FileNotFoundError), match=message):
    predict.find_inputs([reference])


def test_a_folder_without_images(tmp_path):
  _save(tmp_path / 'p' / 'sub' / 'a.png')
  (tmp_path / 'p' / 'x.csv').touch()
  with pytest.raises(FileNotFoundError, match=r'no images in this directory, only 1 other files\..*--recursive'):
    predict.find_inputs([str(tmp_path / 'p')])


def test_videos_and_cameras(tmp_path):
  (tmp_path / 'a.MP4').touch()
  found = predict.find_inputs([str(tmp_path / '*'), 'camera:1'])
  assert found.videos == [str(tmp_path / 'a.MP4'), 'camera:1'] and not found.images
  with pytest.raises(ValueError, match='is a video, but only images'):
    predict.find_images([str(tmp_path / 'a.MP4')])


def test_a_file_that_is_named_is_tried(tmp_path):
  (tmp_path / 'a.pdf').write_bytes(b'%PDF')
  assert predict.find_images([str(tmp_path / 'a.pdf')]) == [str(tmp_path / 'a.pdf')]


def test_animations_give_their_first_frame(tmp_path):
  frames = [Image.new('RGB', (8, 6), color) for color in ((250, 0, 0), (0, 250, 0), (0, 0, 250))]
  for name in ('x.gif', 'x.webp', 'x.png', 'x.tif'):
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
    pixels, count = reading.read_first_frame(tmp_path / name)
    assert count == 3 and pixels[..., 0].min() > 200 and pixels[..., 1:].max() < 60, name


def test_no_reference_gives_no_image():
  assert predict.find_images([]) == []
