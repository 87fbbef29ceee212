#include "Elements.hpp"

#include "Errors.hpp"

#include <optional>

namespace tutti_torch {

namespace {

std::optional<tutti_type> known(at::ScalarType type) {
  switch (type) {
    case at::kFloat:
      return TUTTI_TYPE_FLOAT32;
    case at::kDouble:
      return TUTTI_TYPE_FLOAT64;
    case at::kHalf:
      return TUTTI_TYPE_FLOAT16;
    case at::kBFloat16:
      return TUTTI_TYPE_BFLOAT16;
    case at::kChar:
      return TUTTI_TYPE_INT8;
    case at::kByte:
      return TUTTI_TYPE_UINT8;
    case at::kShort:
      return TUTTI_TYPE_INT16;
    case at::kUInt16:
      return TUTTI_TYPE_UINT16;
    case at::kInt:
      return TUTTI_TYPE_INT32;
    case at::kUInt32:
      return TUTTI_TYPE_UINT32;
    case at::kLong:
      return TUTTI_TYPE_INT64;
    case at::kUInt64:
      return TUTTI_TYPE_UINT64;
    case at::kBool:
      return TUTTI_TYPE_BOOL;
    default:
      return std::nullopt;
  }
}

/// The type of a complex number's parts.
std::optional<tutti_type> part(at::ScalarType type) {
  switch (type) {
    case at::kComplexHalf:
      return TUTTI_TYPE_FLOAT16;
    case at::kComplexFloat:
      return TUTTI_TYPE_FLOAT32;
    case at::kComplexDouble:
      return TUTTI_TYPE_FLOAT64;
    default:
      return std::nullopt;
  }
}

Elements make(const at::Tensor& tensor, tutti_type type, size_t perElement) {
  return {tensor.data_ptr(), static_cast<size_t>(tensor.numel()) * perElement, type, perElement};
}

} // namespace

void checkTensor(const at::Tensor& tensor, const char* what) {
  if (!tensor.defined()) {
    refuse(what, "a tensor is undefined: give one with memory");
  }
  if (tensor.layout() != at::kStrided) {
    refuse(what, c10::str("a tensor has the layout ", tensor.layout(), ": give a dense one (Tensor.to_dense())"));
  }
  if (!tensor.device().is_cpu()) {
    refuse(
        what,
        c10::str(
            "a tensor is on ", tensor.device(), ", and this backend moves CPU tensors: use Tensor.cpu(), or a backend for ",
            "that device beside this one, as in init_process_group(\"cpu:tutti,cuda:nccl\")"));
  }
  if (!tensor.is_contiguous()) {
    refuse(what, c10::str("a tensor of shape ", tensor.sizes(), " is not contiguous: use Tensor.contiguous()"));
  }
}

void checkTensors(const std::vector<at::Tensor>& tensors, size_t count, const char* what) {
  if (tensors.size() != count) {
    refuse(what, c10::str("needs ", count, " tensors, and got ", tensors.size()));
  }
  for (const auto& tensor : tensors) {
    checkTensor(tensor, what);
    if (tensor.scalar_type() != tensors[0].scalar_type()) {
      refuse(
          what, c10::str("tensors have different types, ", tensors[0].scalar_type(), " and ", tensor.scalar_type()));
    }
  }
}

at::Tensor& single(std::vector<at::Tensor>& tensors, const char* what) {
  checkTensors(tensors, 1, what);
  return tensors[0];
}

Elements elements(const at::Tensor& tensor) {
  if (const auto type = known(tensor.scalar_type())) {
    return make(tensor, *type, 1);
  }
  if (const auto type = part(tensor.scalar_type())) {
    return make(tensor, *type, 2);
  }
  return make(tensor, TUTTI_TYPE_UINT8, tensor.element_size());
}

Elements elements(const at::Tensor& tensor, const c10d::ReduceOp& op, const char* what) {
  if (const auto type = known(tensor.scalar_type())) {
    return make(tensor, *type, 1);
  }
  if (const auto type = part(tensor.scalar_type())) {
    if (!c10d::isComplexViewAsRealAllowed(op)) {
      refuse(what, c10::str("complex tensors can be summed and averaged, and not combined by operation ", int(op.op_)));
    }
    return make(tensor, *type, 2);
  }
  refuse(
      what,
      c10::str(
          "tensors of type ", tensor.scalar_type(), " cannot be combined: convert them to one of float16, bfloat16, ",
          "float32, float64, complex, bool, and integers of 8 to 64 bits"));
}

Reduction reduction(const c10d::ReduceOp& op, const char* what) {
  switch (op.op_) {
    case c10d::ReduceOp::SUM:
      return {TUTTI_OP_SUM};
    case c10d::ReduceOp::AVG:
      return {TUTTI_OP_AVERAGE};
    case c10d::ReduceOp::PRODUCT:
      return {TUTTI_OP_PRODUCT};
    case c10d::ReduceOp::MIN:
      return {TUTTI_OP_MIN};
    case c10d::ReduceOp::MAX:
      return {TUTTI_OP_MAX};
    case c10d::ReduceOp::BAND:
      return {TUTTI_OP_BITWISE_AND};
    case c10d::ReduceOp::BOR:
      return {TUTTI_OP_BITWISE_OR};
    case c10d::ReduceOp::BXOR:
      return {TUTTI_OP_BITWISE_XOR};
    case c10d::ReduceOp::PREMUL_SUM: {
      if (!op.supplement_) {
        refuse(what, "PREMUL_SUM has no factor: make the operation by torch.distributed._make_nccl_premul_sum");
      }
      const auto* given = static_cast<const c10d::PreMulSumSupplement*>(op.supplement_.get());
      const bool isTensor = given->tensor_factor.defined();
      return {TUTTI_OP_SUM, true, isTensor ? given->tensor_factor.item<double>() : given->double_factor};
    }
    default:
      refuse(what, c10::str("there is no operation ", int(op.op_)));
  }
}

} // namespace tutti_torch
