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


"""The table of formats."""

import pytest

from nasfpn_tf.artifacts import formats


def test_what_the_table_names_is_there():
  for name in formats.names():
    entry = formats.get(name)
    for reference in filter(None, [entry.exporter, entry.predictor, entry.benchmark]):
      assert callable(formats.load(reference)), reference


def test_a_model_is_found_by_what_it_is(forms):
  assert formats.locate(forms.tflite('float')) == (formats.get('tflite'), forms.tflite('float'))
  assert formats.locate(forms.saved_model) == (formats.get('saved_model'), f'{forms.saved_model}/1')
  assert formats.locate(forms.model_dir) == (formats.get('checkpoint'), forms.model_dir)


def test_what_is_no_model(tmp_path):
  (tmp_path / 'notes.txt').touch()
  for name in ('absent', 'absent.tflite', '', 'notes.txt'):
    with pytest.raises(FileNotFoundError, match=str(tmp_path / name)):
      formats.locate(str(tmp_path / name))


def test_names_are_given_once():
  with pytest.raises(ValueError, match="'tflite' is already registered as a format"):
    formats.register(formats.get('tflite'))
  with pytest.raises(ValueError, match='is not one of tflite, '):
    formats.get('tflit')


@pytest.mark.parametrize('text', ['', '{"dtype": "bfl', '[7]'])
def test_a_damaged_report_of_an_export_is_named(tmp_path, text):
  assert formats.get('saved_model').facts(str(tmp_path)) == {'quant_type': 'none'}
  (tmp_path / 'export.json').write_text(text)
  with pytest.raises(ValueError, match=r'export\.json: .*export the SavedModel again'):
    formats.get('saved_model').facts(str(tmp_path))
