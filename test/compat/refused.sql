-- Each must be refused by what the earlier format stored: words of the message, then the statement.
duplicate key: INSERT INTO shop.customer VALUES (99, 'customer 7')
duplicate key: INSERT INTO kinds (id) VALUES (5001)
duplicate key: INSERT INTO made_late VALUES (9, 'one')
foreign key: INSERT INTO shop.sale VALUES (99999, 99999, 1)
check constraint "customer_balance_check": UPDATE shop.customer SET balance = -101 WHERE id = 9
check constraint "percent_check": INSERT INTO kinds (id, p) VALUES (77777, 101)
invalid input value for enum mood: INSERT INTO kinds (id, m) VALUES (77777, 'none')
null value in column "kept": INSERT INTO altered (id) VALUES (77777)
value too long: INSERT INTO kinds (id, v) VALUES (77777, 'thirteen long')
