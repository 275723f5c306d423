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
"""Reads the weights of a PyTorch checkpoint, and nothing that would run code."""

import glob
import os
import pickle

import numpy as np


def read(path: str) -> dict[str, np.ndarray]:
  """Reads the `state_dict` of a .pth file.

  Args:
    path: the file, or the directory that holds one.

  Returns:
    {name: value}, in PyTorch's order of axes.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: it is damaged, or holds more than tensors and plain values; or PyTorch is not installed.
  """
  path = _file(path)
  try:
    import torch  # Not needed for anything else.
  except ImportError as error:
    raise ValueError(
      f'{path} is a checkpoint of PyTorch, which is not installed: `pip install torch`, for this command only.'
    ) from error
  try:
    content = torch.load(path, map_location='cpu', weights_only=True)
  except pickle.UnpicklingError as error:
    raise ValueError(
      f'{path} is not read: it is damaged, or holds more than weights, which could run code. Download it again, or save'
      ' its state_dict alone.'
    ) from error
  except (RuntimeError, EOFError, LookupError, ValueError, OSError) as error:
    reason = ' '.join(str(error).split())[:200]
    raise ValueError(f'{path} is damaged or not whole ({reason}): download it again.') from error
  state = content.get('state_dict', content) if isinstance(content, dict) else None
  if not state or not all(isinstance(value, torch.Tensor) for value in state.values()):
    raise ValueError(f'{path} holds no state_dict: a file that mmdetection trained or published is wanted.')
  values = {name: value.numpy() for name, value in state.items() if not name.endswith('num_batches_tracked')}
  bad = [name for name, value in values.items() if not np.isfinite(value).all()]
  if bad:
    raise ValueError(f'{path} has weights that are NaN or infinite: {", ".join(bad[:3])}.')
  return values


def _file(path: str) -> str:
  if os.path.isdir(path):
    found = sorted(glob.glob(os.path.join(glob.escape(path), '*.pth')))
    if not found and glob.glob(os.path.join(glob.escape(path), '**', '*.index'), recursive=True):
      raise ValueError(f'{path} holds a checkpoint of TensorFlow, not of PyTorch: give its --from, not mmdet.')
    if len(found) != 1:
      raise ValueError(f'{path} holds {len(found)} files *.pth: name the one that is wanted.')
    return found[0]
  if path.endswith('.index') or (not os.path.exists(path) and os.path.exists(f'{path}.index')):
    raise ValueError(f'{path} is a checkpoint of TensorFlow, not of PyTorch: give its --from, not mmdet.')
  if not os.path.exists(path):
    raise FileNotFoundError(f'checkpoint {path!r} does not exist.')
  return path
