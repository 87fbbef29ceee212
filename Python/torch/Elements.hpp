// What PyTorch's tensors and operations are to Tutti.
#pragma once

#include <tutti.h>

#include <ATen/ATen.h>
#include <torch/csrc/distributed/c10d/Types.hpp>

#include <string>
#include <vector>

namespace tutti_torch {

/// The elements of a tensor as Tutti counts them: a complex number is a pair, and a type that Tutti does not know is its
/// bytes.
struct Elements {
  void* data;
  size_t count;
  tutti_type type;
  size_t perElement; // elements of Tutti for each one of the tensor
};

/// How elements are combined: an operation, or a sum of what was multiplied by a factor.
struct Reduction {
  tutti_op op = TUTTI_OP_SUM;
  bool scaled = false;
  double factor = 1;
};

/// Refuses tensors that are not dense, contiguous and on the CPU.
void checkTensor(const at::Tensor& tensor, const char* what);

/// Refuses lists that have not `count` tensors, and tensors that `checkTensor` does or of another type than the first.
void checkTensors(const std::vector<at::Tensor>& tensors, size_t count, const char* what);

/// Returns the one tensor of a list, which is how PyTorch hands over the tensors of one device.
at::Tensor& single(std::vector<at::Tensor>& tensors, const char* what);

/// Returns the elements of a tensor that is only moved; of any type.
Elements elements(const at::Tensor& tensor);

/// Returns the elements of a tensor that is combined by `op`; refuses types and operations that Tutti cannot combine.
Elements elements(const at::Tensor& tensor, const c10d::ReduceOp& op, const char* what);

/// Returns Tutti's name for PyTorch's operation; refuses those it has not.
Reduction reduction(const c10d::ReduceOp& op, const char* what);

} // namespace tutti_torch
