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

"""Tests of where exports get their models from."""

import json
import types

import pytest

from nasfpn_tf.export import source


@pytest.mark.parametrize(('sides', 'size'), [(None, None), (['256'], (256, 256)), (['256', '384'], (256, 384))])
def test_sizes_of_a_flag(sides, size):
  assert source.parse_size(sides) == size


@pytest.mark.parametrize('sides', [['256x384'], ['-1', '2'], ['1', '2', '3'], ['']])
def test_sizes_that_are_none(sides):
  with pytest.raises(ValueError, match='height,width'):
    source.parse_size(sides)


def test_a_configuration_alone_has_no_weights():
  with pytest.raises(ValueError, match='no weights to export'):
    source.load('r50_nasfpn_7x256_640')


@pytest.mark.parametrize('reference', ['runs/none', 'none/c.yaml', 'none.tflite'])
def test_a_path_that_does_not_exist_is_named(reference):
  with pytest.raises(FileNotFoundError, match=f'{reference}.* is not a file'):
    source.load(reference)


def test_a_directory_without_a_model_is_named(tmp_path):
  (tmp_path / '1').mkdir()
  with pytest.raises(FileNotFoundError, match=r'saved_model\.pb and params\.yaml are missing'):
    source.load(str(tmp_path))


def test_model_dir_with_all_it_carries(forms):
  detector = source.load(forms.model_dir)
  assert detector.origin.endswith('run/ckpt-120')
  assert detector.input_size == (128, 128)
  assert [(label['label'], label['id'], label['name']) for label in detector.labels] == [(1, 7, 'red'), (2, 9, 'blue')]


def test_another_size_has_to_fit_the_pyramid(forms):
  assert source.load(forms.model_dir, input_size=(128, 256)).input_size == (128, 256)
  with pytest.raises(ValueError, match='multiple of 128'):
    source.load(forms.model_dir, input_size=(100, 128))


def _params(num_classes):
  data = types.SimpleNamespace(input_path='')
  model = types.SimpleNamespace(num_classes=num_classes)
  return types.SimpleNamespace(task=types.SimpleNamespace(model=model, train_data=data))


def test_labels_that_are_not_the_models(tmp_path):
  (tmp_path / 'labels.json').write_text(json.dumps([{'label': 3, 'id': 3, 'name': 'x'}]))
  with pytest.raises(ValueError, match=r'labels\.json: names labels 3 to 3, but the model has labels 1 to 2'):
    source.read_labels(str(tmp_path), _params(3))


def test_a_class_that_nothing_names_is_a_number(tmp_path):
  assert [label['name'] for label in source.read_labels(str(tmp_path / 'none'), _params(3))] == ['1', '2']
