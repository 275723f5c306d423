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

"""SavedModels that others may have made: what their graphs can do is looked at before they are loaded."""

import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from nasfpn_tf import predict
from nasfpn_tf.artifacts import formats, saved_model


def _save(path, function, **attributes):
  module = tf.Module()
  module.run = tf.function(function, input_signature=[tf.TensorSpec([], tf.float32, name='inputs')])
  for name, value in attributes.items():
    setattr(module, name, value)
  tf.saved_model.save(module, str(path), module.run)
  return str(path)


@pytest.fixture
def written(tmp_path):
  return tmp_path / 'written.txt'


def test_our_own_pass(forms):
  saved_model.check_operators(f'{forms.saved_model}/1')


def test_variables_pass(tmp_path):
  weight = tf.Variable(2.0)
  saved_model.check_operators(_save(tmp_path / 'model', lambda inputs: {'y': inputs * weight}, weight=weight))


def test_a_model_that_writes_a_file_is_not_run(tmp_path, written):
  def write(inputs):
    tf.io.write_file(str(written), 'x')
    return {'y': inputs + 1.0}

  path = _save(tmp_path / 'model', write)
  with pytest.raises(ValueError, match=r'model: the function \S+ has the operator WriteFile.*--trust'):
    predict.load_predictor(path)
  with pytest.raises(ValueError, match='no signature image_tensor'):
    predict.load_predictor(path, trust=True)
  assert not written.exists()


def _hidden_in_control_flow(inputs):
  return {'y': tf.cond(inputs > 0, lambda: tf.strings.length(tf.io.read_file('/etc/hostname')), lambda: 0)}


def _python(inputs):
  return {'y': tf.numpy_function(np.sin, [inputs], tf.float32)}


def _prints(inputs):
  tf.print(inputs, output_stream='file://printed.txt')
  return {'y': inputs}


def _reads_a_checkpoint(inputs):
  return {
    'y': inputs + tf.raw_ops.RestoreV2(prefix='x', tensor_names=['y'], shape_and_slices=[''], dtypes=[tf.float32])[0]
  }


def _lists_files(inputs):
  return {'y': inputs, 'files': tf.io.matching_files('/etc/*')}


@pytest.mark.parametrize(
  'function, operator',
  [
    (_hidden_in_control_flow, 'ReadFile'),
    (_python, 'PyFunc'),
    (_prints, 'PrintV2'),
    (_reads_a_checkpoint, 'RestoreV2'),
    (_lists_files, 'MatchingFiles'),
  ],
)
def test_what_touches_files_or_programs_is_named(tmp_path, function, operator):
  path = _save(tmp_path / 'model', function)
  with pytest.raises(ValueError, match=f'has the operator {operator}'):
    saved_model.check_operators(path)


def _vocabulary(inputs):
  remapping, _ = tf.raw_ops.GenerateVocabRemapping(
    new_vocab_file='/etc/hostname', old_vocab_file='/etc/hostname', new_vocab_offset=0, num_new_vocab=1
  )
  return {'y': inputs, 'remapping': remapping}


def _announces_itself(inputs):
  dataset = tf.raw_ops.TensorDataset(components=[inputs], output_shapes=[[]])
  found = tf.raw_ops.RegisterDatasetV2(
    dataset=dataset, address='example.org:1', protocol='grpc', external_state_policy=1, element_spec=''
  )
  return {'y': inputs, 'id': found}


@pytest.mark.parametrize(
  'function, operator', [(_vocabulary, 'GenerateVocabRemapping'), (_announces_itself, 'RegisterDatasetV2')]
)
def test_operators_that_tensorflow_takes_for_plain_ones(tmp_path, function, operator):
  with pytest.raises(ValueError, match=f'has the operator {operator}'):
    saved_model.check_operators(_save(tmp_path / 'model', function))


@pytest.mark.parametrize('harm', ['no object graph', 'two graphs'])
def test_one_that_is_loaded_by_its_saver(tmp_path, harm):
  """TensorFlow runs the saver of what it takes for a model of TensorFlow 1, so that may not write either."""
  weight = tf.Variable(2.0)
  path = _save(tmp_path / 'model', lambda inputs: {'y': inputs * weight}, weight=weight)
  file = pathlib.Path(path, 'saved_model.pb')
  model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
  (graphs,) = model.meta_graphs
  (node,) = (node for node in graphs.graph_def.node if node.name == graphs.saver_def.restore_op_name)
  (function,) = (
    function for function in graphs.graph_def.library.function if function.signature.name == node.attr['f'].func.name
  )
  with tf.Graph().as_default() as graph:
    name = tf.constant(str(tmp_path / 'written'), name='written_name')
    tf.raw_ops.MergeV2Checkpoints(checkpoint_prefixes=tf.fill([1], name), destination_prefix=name, name='written')
  function.node_def.extend(graph.as_graph_def().node)
  file.write_bytes(model.SerializeToString())
  saved_model.check_operators(path)  # Nothing runs it.
  if harm == 'two graphs':
    model.meta_graphs.add().CopyFrom(graphs)
  else:
    graphs.ClearField('object_graph_def')
  file.write_bytes(model.SerializeToString())
  with pytest.raises(ValueError, match=r'has the operator (MergeV2Checkpoints|RestoreV2|SaveV2|ShardedFilename)'):
    saved_model.check_operators(path)


def test_one_without_a_graph_is_named(tmp_path):
  (tmp_path / 'saved_model.pb').write_bytes(b'')
  with pytest.raises(ValueError, match=r'saved_model\.pb: .*no graph'):
    saved_model.check_operators(str(tmp_path))
  (tmp_path / 'saved_model.pb').unlink()
  with pytest.raises(FileNotFoundError, match=r'saved_model\.pb and params\.yaml are missing'):
    formats.locate(str(tmp_path))


@pytest.mark.parametrize(
  'name',
  ['saved_model.pb', 'variables/variables.index', 'variables/variables.data-00000-of-00001', 'assets/params.yaml'],
)
def test_a_damaged_one_is_named(forms, tmp_path, name):
  copy = tmp_path / 'copy'
  shutil.copytree(pathlib.Path(forms.saved_model) / '1', copy)
  file = copy / name
  file.write_bytes(file.read_bytes()[:-30] if name.endswith('.pb') else b'')
  if name.startswith('assets'):
    file.unlink()
  with pytest.raises(ValueError, match=rf'copy/{name}: .*export it again'):
    saved_model.check_operators(str(copy))
    saved_model.load(str(copy))
    pytest.skip('TensorFlow loads it without this file.')
