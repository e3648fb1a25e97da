
      export interface PossibleTypesResultData {
        possibleTypes: {
          [key: string]: string[]
        }
      }
      const result: PossibleTypesResultData = {
  "possibleTypes": {
    "CancelOrderResult": [
      "CancelOrderSuccess",
      "OrderNotCancellable",
      "OrderNotFound"
    ],
    "ConfirmReturnResult": [
      "ConfirmReturnSuccess",
      "InvalidInput",
      "OrderNotFound",
      "RateLimited"
    ],
    "CreateOrderResult": [
      "AlreadyOwned",
      "CoursesUnavailable",
      "CreateOrderSuccess",
      "IdempotencyKeyReused",
      "InvalidInput",
      "OpenOrderExists",
      "PriceChanged",
      "RateLimited"
    ],
    "LoginResult": [
      "InvalidCredentials",
      "LoginSuccess",
      "RateLimited"
    ],
    "PayOrderResult": [
      "AlreadyOwned",
      "InvalidInput",
      "OrderNotFound",
      "OrderNotPayable",
      "PayOrderSuccess",
      "RateLimited"
    ],
    "RefundOrderResult": [
      "IdempotencyKeyReused",
      "InvalidInput",
      "NothingToRefund",
      "OrderNotFound",
      "RefundOrderSuccess",
      "RefundTooLarge"
    ],
    "UserError": [
      "AlreadyOwned",
      "CoursesUnavailable",
      "IdempotencyKeyReused",
      "InvalidCredentials",
      "InvalidInput",
      "NothingToRefund",
      "OpenOrderExists",
      "OrderNotCancellable",
      "OrderNotFound",
      "OrderNotPayable",
      "PriceChanged",
      "RateLimited",
      "RefundTooLarge"
    ]
  }
};
      export default result;
    