import Testing

@testable import Models

@Suite struct MatrixTests {
  /// Small whole numbers: sums are exact in any order, so results are compared bit for bit.
  private func whole<Element: Scalar>(
    _ rows: Int, _ columns: Int, _ memory: Memory<Element>, _ random: inout RandomNumbers
  ) -> Matrix<Element> {
    let wide = memory.zeros(rows: rows + 1, columns: columns + 3)
    for index in wide.contiguous.indices { wide.contiguous[index] = Element(Int.random(in: -4...4, using: &random)) }
    return wide.part(rows: 1..<rows + 1, columns: 2..<columns + 2)
  }

  private func element<Element>(_ matrix: Matrix<Element>, _ row: Int, _ column: Int) -> Element {
    matrix.elements[matrix.isTransposed ? column * matrix.stride + row : row * matrix.stride + column]
  }

  private func products<Element: Scalar>(_: Element.Type) {
    let (seed, memory) = (testSeed(), Memory<Element>())
    var random = RandomNumbers(seed: seed)
    for (m, n, k) in [(1, 1, 1), (3, 4, 5), (17, 2, 33), (2, 3, 0), (0, 3, 2), (3, 0, 2)] {
      for kind in 0..<8 {
        let a = kind & 1 == 0 ? whole(m, k, memory, &random) : whole(k, m, memory, &random).transposed
        let b = kind & 2 == 0 ? whole(k, n, memory, &random) : whole(n, k, memory, &random).transposed
        let product = whole(m, n, memory, &random)
        let adding = kind & 4 != 0
        let expected = (0..<m).map { row in
          (0..<n).map { column in
            (0..<k).reduce(adding ? element(product, row, column) : 0) {
              $0 + 2 * element(a, row, $1) * element(b, $1, column)
            }
          }
        }
        multiply(a, b, into: product, scale: 2, adding: adding)
        let actual = (0..<m).map { row in (0..<n).map { element(product, row, $0) } }
        #expect(actual == expected, "\(m) x \(n) x \(k), kind \(kind), TUTTI_TEST_SEED=\(seed)")
      }
    }
  }

  @Test func productsOfFloats() { products(Float.self) }
  @Test func productsOfDoubles() { products(Double.self) }

  @Test func sumsOfAnyLength() {
    let numbers = (0..<40).map { Float($0 % 7) - 3 }
    for count in 0...40 {
      #expect(sum(numbers, count) == numbers.prefix(count).reduce(0, +))
      #expect(dot(numbers, numbers, count) == numbers.prefix(count).reduce(0) { $0 + $1 * $1 })
    }
  }

  @Test func ranksStartWithOneThread() {
    useOneThread()
    #expect(matrixLibrary().contains("OpenBLAS"))
    #expect(["1", nil].contains(matrixEnvironment()["OPENBLAS_NUM_THREADS"]))
  }
}
