import { expect, test } from 'vitest'
import { fen, total, yuan } from '@/money'

test('yuan and fen are exact, where floating point is not', () => {
  expect(fen('117.00')).toBe(11700)
  expect(yuan(5)).toBe('0.05')
  expect(yuan(fen('99999999.99'))).toBe('99999999.99')
  expect(total(['0.10', '0.20', '1.10'])).toBe('1.40')
  expect(total([])).toBe('0.00')
})

test.each(['1', '1.5', '-1.00', '1e3', '１.00', '', '1.000'])('%j is not an amount', (text) => {
  expect(() => fen(text)).toThrow(TypeError)
})
