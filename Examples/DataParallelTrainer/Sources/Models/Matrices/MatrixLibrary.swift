import COpenBLAS
import Foundation

/// Makes matrix products run on the calling thread alone. Call it before the first one.
///
/// OpenBLAS otherwise starts a thread for every processor of the host, in every rank: ranks that share a host would
/// fight for its processors, and communication would find none free to hide behind the computation. One thread also
/// adds up in one order, so that runs with equal inputs give equal bits.
public func useOneThread() {
  openblas_set_num_threads(1)
}

/// Version, build options, and the processor that the library behind the matrix products chose its code for; for
/// reports. Other code adds up in another order: the last bits of results differ between processors.
public func matrixLibrary() -> String {
  String(cString: openblas_get_config()).trimmingCharacters(in: .whitespaces)
}

/// Environment variables to start ranks with, beside those they inherit.
///
/// OpenBLAS reads them when it is loaded, so a process cannot set them for itself. An OpenBLAS older than the processor
/// does not recognise it and falls back to code for the first 64-bit processors ("Prescott"), about four times slower;
/// `OPENBLAS_CORETYPE` then names a processor it does know, with instructions that this one has too.
public func matrixEnvironment() -> [String: String] {
  var variables = ["OPENBLAS_NUM_THREADS": "1"]
  if String(cString: openblas_get_corename()) == "Prescott" {
    if processor_has_avx512() {
      variables["OPENBLAS_CORETYPE"] = "SkylakeX"
    } else if processor_has_avx2() {
      variables["OPENBLAS_CORETYPE"] = "Haswell"
    }
  }
  return variables.filter { ProcessInfo.processInfo.environment[$0.key] == nil }
}
