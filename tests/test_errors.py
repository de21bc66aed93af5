import pytest

from growsearch.machine.memory import is_out_of_memory


@pytest.mark.parametrize("error", [
    MemoryError(),
    RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("GET was unable to find an engine to execute this computation"),
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to"),
])  # fmt: skip
def test_memory_that_runs_out_is_known_by_what_torch_and_its_libraries_say_of_it(error):
    assert is_out_of_memory(error)


@pytest.mark.parametrize("text", [
    "CUDA error: an illegal memory access was encountered", "CUDNN_STATUS_NOT_SUPPORTED",
    "The size of tensor a (16) must match the size of tensor b (32)",
])  # fmt: skip
def test_other_errors_are_others(text):
    assert not is_out_of_memory(RuntimeError(text))
