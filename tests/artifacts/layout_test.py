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


"""Where the parts of a model lie."""

import json

import pytest

from nasfpn_tf.artifacts import layout


def test_latest_version_is_the_highest_number(tmp_path):
  for name in ('2', '10', '.11.partial', 'notes'):
    (tmp_path / name).mkdir()
    (tmp_path / name / 'saved_model.pb').touch()
  assert layout.latest_version(str(tmp_path)) == str(tmp_path / '10')
  assert layout.latest_version(str(tmp_path / '2')) == str(tmp_path / '2')


def test_directory_without_a_saved_model(tmp_path):
  (tmp_path / '1').mkdir()
  with pytest.raises(FileNotFoundError, match=r'no saved_model\.pb'):
    layout.latest_version(str(tmp_path))


def test_next_version_skips_what_is_no_number(tmp_path):
  assert layout.next_version(str(tmp_path / 'absent')) == 1
  for name in ('3', '12', '.13.partial', 'best', '²'):
    (tmp_path / name).mkdir()
  assert layout.next_version(str(tmp_path)) == 13


def test_sidecar_lies_beside_the_file():
  assert layout.sidecar_path('a/b.tflite') == 'a/b.json'


def test_what_is_written_beside_a_file_is_read_again(tmp_path):
  path = str(tmp_path / 'x.tflite')
  with pytest.raises(FileNotFoundError, match=r'x\.json.*keep both together'):
    layout.read_sidecar(path)
  layout.write_sidecar(path, {'params': 3})
  with pytest.raises(ValueError, match=r'x\.json: has no SHA-256 of .*x\.tflite; export_tflite'):
    layout.read_sidecar(path)
  (tmp_path / 'x.tflite').write_bytes(b'model')
  facts = {'params': 3, layout.SHA256: layout.sha256(path)}
  layout.write_sidecar(path, facts)
  assert layout.read_sidecar(path) == {'format': 1, 'kind': 'tflite', **facts}


@pytest.mark.parametrize('text', ['{', '[1]', 'null'])
def test_sidecars_that_are_none(tmp_path, text):
  (tmp_path / 'x.json').write_text(text)
  with pytest.raises(ValueError, match=r'x\.json: not '):
    layout.read_sidecar(str(tmp_path / 'x.tflite'))


def test_the_weights_of_a_saved_model(tmp_path):
  assert layout.saved_model_checkpoint(str(tmp_path)) == str(tmp_path / 'variables' / 'variables')
  (tmp_path / 'assets.extra').mkdir()
  (tmp_path / 'assets.extra' / 'weights.index').touch()
  assert layout.saved_model_checkpoint(str(tmp_path)) == str(tmp_path / 'assets.extra' / 'weights')
  (tmp_path / 'assets.extra' / 'weights.data-00000-of-00001').touch()
  (tmp_path / 'assets.extra' / 'weights.index').unlink()
  with pytest.raises(FileNotFoundError, match=r'weights\.index is missing.*copy it again'):
    layout.saved_model_checkpoint(str(tmp_path))


@pytest.mark.parametrize('path', ['a [1]/b', 'a*/b', 'what?', 'a\\b'])
def test_a_path_that_tensorflow_takes_for_a_pattern(path):
  with pytest.raises(ValueError, match=r'TensorFlow takes the .* in this path'):
    layout.check_path(path)


def test_what_tensorflow_takes_as_it_is():
  layout.check_path('Bilder für Ñandú (1), {2}]/b c')


def test_a_model_dir_is_no_saved_model(tmp_path):
  assert not layout.is_model_dir(str(tmp_path))
  (tmp_path / 'params.yaml').write_text(json.dumps({}))
  assert layout.is_model_dir(str(tmp_path)) and layout.find_saved_model(str(tmp_path)) is None
  (tmp_path / 'saved_model.pb').write_bytes(b'123')
  assert not layout.is_model_dir(str(tmp_path)) and layout.find_saved_model(str(tmp_path)) == str(tmp_path)
  assert layout.size_bytes(str(tmp_path)) == 5


@pytest.fixture
def pair(tmp_path):
  """A .tflite with the JSON file that has its SHA-256."""
  path = tmp_path / 'x.tflite'
  path.write_bytes(b'new')
  layout.write_sidecar(str(path), {layout.SHA256: layout.sha256(str(path))})
  return path


def test_a_tflite_with_a_flipped_bit_is_refused(pair):
  layout.read_sidecar(str(pair))
  pair.write_bytes(b'nev')
  with pytest.raises(ValueError, match=r'x\.tflite: its content is not what .*x\.json describes \(SHA-256\)'):
    layout.read_sidecar(str(pair))


def test_an_export_killed_between_its_two_files_is_finished(pair):
  staged = pair.with_name('x.partial.tflite')
  pair.rename(staged)
  pair.write_bytes(b'old')
  layout.read_sidecar(str(pair))
  assert pair.read_bytes() == b'new' and not staged.exists()


def test_a_staged_file_of_another_export_is_left_alone(pair):
  pair.write_bytes(b'old')
  pair.with_name('x.partial.tflite').write_bytes(b'half')
  with pytest.raises(ValueError, match='SHA-256'):
    layout.read_sidecar(str(pair))
  assert pair.read_bytes() == b'old'
