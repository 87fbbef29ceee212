import COpenBLAS
import Foundation

/// A number type that models compute with: `Float` to train, `Double` to check against.
///
/// What differs between the two is here; all else in this module is written once, over `Element: Scalar`. (`Codable`,
/// because numbers in SIMD vectors must be.)
public protocol Scalar: BinaryFloatingPoint, SIMDScalar, Codable, Sendable, BitwiseCopyable {
  /// `c = alpha * a b + beta * c`, with row-major matrices and either factor read as its transpose.
  ///
  /// - Parameters:
  ///   - m: Rows of `a` (as read, after transposing) and of `c`.
  ///   - n: Columns of `b` (as read) and of `c`.
  ///   - k: Columns of `a` (as read) and rows of `b`.
  ///   - strides: Elements from one row to the next, as the matrices are stored.
  static func gemm(
    _ m: Int, _ n: Int, _ k: Int, alpha: Self,
    _ a: UnsafePointer<Self>, stride aStride: Int, transposed aTransposed: Bool,
    _ b: UnsafePointer<Self>, stride bStride: Int, transposed bTransposed: Bool,
    beta: Self, _ c: UnsafeMutablePointer<Self>, stride cStride: Int)

  static func exp(_ x: Self) -> Self
}

extension Float: Scalar {
  public static func gemm(
    _ m: Int, _ n: Int, _ k: Int, alpha: Float,
    _ a: UnsafePointer<Float>, stride aStride: Int, transposed aTransposed: Bool,
    _ b: UnsafePointer<Float>, stride bStride: Int, transposed bTransposed: Bool,
    beta: Float, _ c: UnsafeMutablePointer<Float>, stride cStride: Int
  ) {
    cblas_sgemm(
      CblasRowMajor, aTransposed ? CblasTrans : CblasNoTrans, bTransposed ? CblasTrans : CblasNoTrans,
      blasint(m), blasint(n), blasint(k), alpha, a, blasint(aStride), b, blasint(bStride), beta, c, blasint(cStride))
  }

  public static func exp(_ x: Float) -> Float { Foundation.exp(x) }
}

extension Double: Scalar {
  public static func gemm(
    _ m: Int, _ n: Int, _ k: Int, alpha: Double,
    _ a: UnsafePointer<Double>, stride aStride: Int, transposed aTransposed: Bool,
    _ b: UnsafePointer<Double>, stride bStride: Int, transposed bTransposed: Bool,
    beta: Double, _ c: UnsafeMutablePointer<Double>, stride cStride: Int
  ) {
    cblas_dgemm(
      CblasRowMajor, aTransposed ? CblasTrans : CblasNoTrans, bTransposed ? CblasTrans : CblasNoTrans,
      blasint(m), blasint(n), blasint(k), alpha, a, blasint(aStride), b, blasint(bStride), beta, c, blasint(cStride))
  }

  public static func exp(_ x: Double) -> Double { Foundation.exp(x) }
}

/// `a * b`, summed in eight lanes: plain loops over floating point must add in order, one element at a time.
func dot<Element: Scalar>(
  _ a: UnsafePointer<Element>, _ b: UnsafePointer<Element>, _ count: Int
) -> Element {
  var lanes = SIMD8<Element>(repeating: 0)
  let whole = count & ~7
  for start in stride(from: 0, to: whole, by: 8) {
    for lane in 0..<8 { lanes[lane] += a[start + lane] * b[start + lane] }
  }
  var result = lanes.sum()
  for index in whole..<count { result += a[index] * b[index] }
  return result
}

func sum<Element: Scalar>(_ a: UnsafePointer<Element>, _ count: Int) -> Element {
  var lanes = SIMD8<Element>(repeating: 0)
  let whole = count & ~7
  for start in stride(from: 0, to: whole, by: 8) {
    for lane in 0..<8 { lanes[lane] += a[start + lane] }
  }
  var result = lanes.sum()
  for index in whole..<count { result += a[index] }
  return result
}
