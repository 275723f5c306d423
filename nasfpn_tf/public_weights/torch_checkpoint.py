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
import re
import warnings
import zipfile

import numpy as np

_BLOCK = 2**20
_ZIP_ERRORS = (zipfile.BadZipFile, RuntimeError, EOFError, OSError, ValueError)


def read(path: str) -> dict[str, np.ndarray]:
  """Reads the `state_dict` of a .pth file.

  Args:
    path: the file, or the directory that holds one.

  Returns:
    {name: value}, in PyTorch's order of axes; float32, whatever precision it is stored in.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: it is damaged, or holds more than tensors and plain values; or PyTorch is not installed.
  """
  path = _file(path)
  try:
    import torch  # Not needed for anything else.

    load = torch.load  # A directory of this name is imported, too.
  except ModuleNotFoundError as error:
    raise ValueError(
      f'{path} is a checkpoint of PyTorch, which is not installed: `pip install torch`, for this command only.'
    ) from error
  except (ImportError, AttributeError, OSError) as error:
    raise ValueError(
      f'{path} is a checkpoint of PyTorch, which cannot be loaded here ({error}): install it anew.'
    ) from error
  _check_sums(path)
  try:
    with warnings.catch_warnings():
      warnings.simplefilter('ignore')  # Of kinds of files that are refused below.
      content = load(path, map_location='cpu', weights_only=True)
  except pickle.UnpicklingError as error:
    more = re.search(r'GLOBAL ([\w.]+)', str(error))
    if more is None:
      raise ValueError(f'{path} is damaged or not a checkpoint of PyTorch: download it again.') from error
    raise ValueError(
      f'{path} is not read: it names {more.group(1)}, which could run code. If it is your own, write a file of its'
      " weights alone, by torch.save of its state_dict or mmdetection's tools/model_converters/publish_model.py."
    ) from error
  except (RuntimeError, EOFError, LookupError, TypeError, AttributeError, ValueError, OSError) as error:
    if 'TorchScript' in str(error):
      raise ValueError(f'{path} is a program of TorchScript, and a state_dict is wanted: save that.') from error
    reason = '' if isinstance(error, LookupError) else ' '.join(str(error).split())[:100]
    raise ValueError(f'{path} is damaged or not whole{f" ({reason})" if reason else ""}: download it again.') from error
  state = content.get('state_dict', content) if isinstance(content, dict) else None
  if not isinstance(state, dict) or not state or not all(_is_tensor(*item, torch) for item in state.items()):
    raise ValueError(f'{path} holds no state_dict: a file that mmdetection trained or published is wanted.')
  state = {name: value for name, value in state.items() if not name.endswith('num_batches_tracked')}
  other = [name for name, value in state.items() if not _is_plain(value, torch)]
  if other:
    raise ValueError(
      f'{path} has values that are no dense floating-point weights, such as quantized ones: {", ".join(other[:3])}.'
    )
  values = {name: value.detach().float().numpy() for name, value in state.items()}
  bad = [name for name, value in values.items() if not np.isfinite(value).all()]
  if bad:
    raise ValueError(f'{path} has weights that are NaN or infinite: {", ".join(bad[:3])}.')
  return values


def _check_sums(path: str) -> None:
  """Refuses a zip archive, which PyTorch writes since 1.6, with a changed byte: torch.load does not look at checksums.

  PyTorch can be told to write none, and then none is right.
  """
  if not zipfile.is_zipfile(path):
    return
  bad, members = [], []
  try:
    with zipfile.ZipFile(path) as archive:
      members = archive.infolist()
      for member in members:
        try:
          with archive.open(member) as file:
            while file.read(_BLOCK):
              pass
        except zipfile.BadZipFile as error:
          bad.append(str(error))
  except _ZIP_ERRORS as error:
    raise ValueError(f'{path} is damaged or not whole ({error}): download it again.') from error
  if 0 < len(bad) < len(members):
    raise ValueError(f'{path} is damaged ({bad[0]}): download it again.')


def _is_tensor(name: object, value: object, torch) -> bool:
  return isinstance(name, str) and isinstance(value, torch.Tensor)


def _is_plain(value, torch) -> bool:
  """Tells whether a tensor is one of numbers that are here, and not sparse, quantized or without values."""
  return value.is_floating_point() and value.layout == torch.strided and value.device.type == 'cpu'


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
