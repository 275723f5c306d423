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

"""Tests of what the labels of a model mean."""

import json
from unittest import mock

import pytest
from absl import logging

from nasfpn_tf.data.records import label_names, manifest


@pytest.mark.parametrize(
  ('text', 'message'),
  [
    ('[]', 'names no label, but the model has labels 1 to 2'),
    ('[{"label": 3, "id": 3, "name": "x"}]', r'names labels 3 to 3, but .* \(num_classes 3 with the background\)'),
    ('[{"label": 0, "id": 3, "name": "x"}]', 'names labels 0 to 0'),
    ('[{"label": 1, "id": 3, "name": "x"}, {"label": 1, "id": 4, "name": "y"}]', 'lists a label twice'),
    ('{"labels": ["x"]}', 'no list of'),
    ('["x"]', 'no list of'),
    ('[{"label": 1', 'not JSON: .*: no list of'),
  ],
  ids=['none', 'beyond', 'background', 'twice', 'mapping', 'names', 'cut'],
)
def test_labels_that_are_not_the_models(text, message, tmp_path):
  (tmp_path / 'labels.json').write_text(text)
  with pytest.raises(ValueError, match=rf'labels\.json: {message}'):
    label_names.of_model(str(tmp_path), 3)


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'label': 'one'}, "label is a whole number, not 'one'"),
    ({'label': True}, 'label is a whole number, not True'),
    ({'label': 1.7}, 'label is a whole number, not 1.7'),
    ({'id': None}, 'id is a whole number, not None'),
    ({'name': None}, 'the name of a label is text, not None'),
    ({'name': ['x']}, r"the name of a label is text, not \['x'\]"),
  ],
)
def test_a_label_of_other_types(change, message):
  with pytest.raises(ValueError, match=rf'x\.json: no list of .*{message}'):
    label_names.parse([{'label': 1, 'id': 3, 'name': 'x', **change}], 'x.json')


@pytest.mark.parametrize('key', ['label', 'id', 'name'])
def test_a_label_without(key):
  entry = {'label': 1, 'id': 3, 'name': 'x'}
  del entry[key]
  with pytest.raises(ValueError, match=rf"x\.json: .*KeyError: '{key}'"):
    label_names.parse([entry], 'x.json')


def test_labels_may_have_gaps(tmp_path):
  labels = [{'label': 2, 'id': 20, 'name': 'x'}]
  (tmp_path / 'labels.json').write_text(json.dumps(labels))
  assert label_names.of_model(str(tmp_path), 3) == labels


def test_labels_that_end_early_are_said(tmp_path):
  labels = [{'label': 1, 'id': 1, 'name': 'x'}]
  (tmp_path / 'labels.json').write_text(json.dumps(labels))
  with mock.patch.object(logging, 'warning') as warning:
    assert label_names.of_model(str(tmp_path), 2) == labels
    warning.assert_not_called()
    assert label_names.of_model(str(tmp_path), 4) == labels
  text, *values = warning.call_args.args
  assert 'names labels up to 1, but the model has 1 to 3' in text % tuple(values)


def test_a_directory_of_its_name_is_not_taken_for_no_file(tmp_path):
  (tmp_path / 'labels.json').mkdir()
  with pytest.raises(OSError, match=r'labels\.json'):
    label_names.of_model(str(tmp_path), 3)


def test_without_a_file_the_records_tell(tmp_path):
  assert not label_names.of_model(str(tmp_path), 3)
  of_records = manifest.Manifest(0, 3, tuple(manifest.Label(label=k, id=k + 6, name=f'n{k}') for k in (1, 2)), ())
  (tmp_path / f'set{manifest.SUFFIX}').write_text(json.dumps(of_records.to_dict()))
  prefix = str(tmp_path / 'set')
  assert [entry['name'] for entry in label_names.of_model(str(tmp_path), 3, prefix)] == ['n1', 'n2']
  with pytest.raises(ValueError, match=r'set\.manifest\.json: names labels 1 to 2, but the model has labels 1 to 1'):
    label_names.of_model(str(tmp_path), 2, prefix)
