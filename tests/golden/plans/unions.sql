-- title: rows of two tables
SELECT count(*) FROM (SELECT patient_id, day FROM liver.conditions UNION ALL SELECT patient_id, day FROM liver.measurements);
--> puts together the rows of:
-->   part
-->     reads liver.conditions (at most 14 rows a person count): patient_id
-->   part
-->     reads liver.measurements (at most 60 rows a person count): patient_id
--> measure 1: count of rows
--> each person counts with at most 74 rows
--> shows count(*): measure 1

-- title: different rows of two tables
SELECT count(*) FROM (SELECT patient_id FROM liver.conditions UNION SELECT patient_id FROM liver.measurements);
--> puts together the rows of:
-->   part
-->     reads liver.conditions (at most 14 rows a person count): patient_id
-->   part
-->     reads liver.measurements (at most 60 rows a person count): patient_id
--> keeps each different row once
--> measure 1: count of rows
--> each person counts with one row
--> shows count(*): measure 1

-- title: facts of the parts are joined
SELECT kind, avg(x) FROM (SELECT 'age' AS kind, age AS x FROM liver.patients UNION ALL SELECT 'bmi', bmi FROM liver.patients) GROUP BY kind;
--> puts together the rows of:
-->   part
-->     reads liver.patients (one row a person): patient_id, age
-->     computes d2.0 = 'age'
-->     computes d2.1 = to_float(patients.age)
-->   part
-->     reads liver.patients (one row a person): patient_id, bmi
-->     computes d2.1.0 = 'bmi'
-->     computes d2.1.1 = patients#2.bmi
--> groups by d2.0: 'age', 'bmi'
--> measure 1: sum of deviations of d2.1, clamped to 10 .. 100 in steps of 0.01
--> measure 2: count of rows where d2.1 is not null
--> each person counts with at most 2 rows in all, in at most 2 groups
--> shows kind: d2.0
--> shows avg(x): mean from measures 1 and 2

-- title: three parts
SELECT what, count(*) FROM (SELECT patient_id, condition AS what FROM liver.conditions UNION ALL SELECT patient_id, test FROM liver.measurements UNION ALL SELECT patient_id, site FROM liver.patients) GROUP BY what;
--> puts together the rows of:
-->   part
-->     reads liver.conditions (at most 14 rows a person count): patient_id, condition
-->     computes d3.1 = conditions.condition
-->   part
-->     reads liver.measurements (at most 60 rows a person count): patient_id, test
-->     computes d3.1.1 = measurements.test
-->   part
-->     reads liver.patients (one row a person): patient_id, site
-->     computes d3.2.1 = patients.site
--> groups by d3.1: 'nafld', 'diabetes', 'stroke', 'htn', 'fib4', 'hdl', 'sbp', 'smoke', 'north', 'south', 'east', null
--> measure 1: count of rows
--> each person counts with at most 75 rows in all, in at most 12 groups
--> shows what: d3.1
--> shows count(*): measure 1
