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

"""One process of a distributed run, started by strategies_test.py: prints a line of JSON with what it ends with.

python -m tests.training.worker '{"prefix": ..., "model_dir": ..., "num_cpus": 2, "trainer": {...}, "task": {...}}'
"""

import hashlib
import json
import os
import sys

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
os.environ.setdefault('CUDA_VISIBLE_DEVICES', '-1')

import nasfpn_tf  # noqa: F401  (before TensorFlow: it sets TF_USE_LEGACY_KERAS)
from nasfpn_tf.training import loop, strategy, trainer
from tests.training import rectangles


def digest(variables) -> str:
  """Hash of the bytes of variables."""
  return hashlib.sha256(b''.join(v.numpy().tobytes() for v in variables)).hexdigest()


def main():
  request = json.loads(sys.argv[1])
  strategy.split_cpu(request.get('num_cpus', 1))
  params = rectangles.experiment(request['prefix'], task=request.get('task', {}), trainer=request.get('trainer', {}))
  chosen = strategy.build_strategy(params.runtime)

  seen = {}
  train = loop.DetectionTrainer.train_loop_end

  def train_loop_end(self):
    logs = train(self)
    # Every replica's copy of a variable that is kept in step, not averaged when it is read.
    copies = [chosen.experimental_local_results(v) for v in self.model.trainable_variables]
    seen['replicas'] = [digest(replica) for replica in zip(*copies, strict=True)]
    seen['loss'] = float(logs['training_loss'])
    dropblock = self.model.decoder.stages[0].cells[0].dropblock
    seen['keep_prob'] = float(dropblock.current_keep_prob()) if dropblock else None
    return logs

  loop.DetectionTrainer.train_loop_end = train_loop_end
  metrics = trainer.run(params, request.get('mode', 'train_and_eval'), request['model_dir'], strategy=chosen)
  result = {'strategy': type(chosen).__name__, 'num_replicas': chosen.num_replicas_in_sync, 'metrics': metrics, **seen}
  print('RESULT ' + json.dumps(result), flush=True)


if __name__ == '__main__':
  main()
